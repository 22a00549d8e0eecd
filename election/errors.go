package election

import (
	"errors"
	"fmt"
)

// What became of a command that Node.Apply did not see applied. Every error of Apply is one of the two.
var (
	// ErrNotAppended says that the command certainly is not in the log: it has no effect, now or later.
	ErrNotAppended = errors.New("command was not appended")
	// ErrUnknownOutcome says that the command may be committed, now or later.
	ErrUnknownOutcome = errors.New("outcome of the command is unknown")
)

var (
	// ErrNotLeader says that this node does not lead in the term asked for. It is an ErrNotAppended.
	ErrNotLeader = fmt.Errorf("not the leader of this term: %w", ErrNotAppended)
	// ErrTransferInProgress says that the leader is handing over and takes no commands. It is an ErrNotAppended.
	ErrTransferInProgress = fmt.Errorf("leadership transfer in progress: %w", ErrNotAppended)
	// ErrLeadershipLost says that leadership ended while the command was in flight. It is an ErrUnknownOutcome.
	ErrLeadershipLost = fmt.Errorf("leadership lost: %w", ErrUnknownOutcome)
	// ErrUnknownNode says that nobody who is configured or a member, or no voter, has the given name.
	ErrUnknownNode = errors.New("unknown node")
)

// CallError is an answer of a peer other than 2xx.
type CallError struct {
	// Peer is the name of the node that answered.
	Peer string
	// Status is the HTTP status code.
	Status int
	// Message is the text of the answer, at most 4 KiB.
	Message string
}

// Error implements error.
func (e *CallError) Error() string {
	return fmt.Sprintf("%s answered %d: %s", e.Peer, e.Status, e.Message)
}
