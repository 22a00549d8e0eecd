package controller

import (
	"errors"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// Op names one asynchronous action, so that its result finds its way back. 0 is none.
type Op uint64

// Event is one input of the core.
type Event interface{ event() }

// Leadership is Raft's news: who leads in which term.
type Leadership struct {
	Term   uint64
	Leader fsm.NodeName // "" = unknown
	Self   bool
}

// Committed carries the newest applied state.
type Committed struct{ State fsm.State }

// HealthChecked is the news of the node's own HAProxy.
type HealthChecked struct {
	Healthy bool
	Reason  string
}

// Reachable lists the peers that acknowledged this leader lately, and the nodes that vote.
type Reachable struct{ Peers, Voters []fsm.NodeName }

// Proposed answers a Propose.
type Proposed struct {
	Op     Op
	Result fsm.Result
	Err    error // the entry may or may not have been committed
}

// failure says why the entry does nothing, as far as is known; nil: it was applied.
func (p Proposed) failure() error {
	if p.Err == nil && p.Result.Denied != "" {
		return errors.New(string(p.Result.Denied))
	}
	return p.Err
}

// Observed answers an Observe.
type Observed struct {
	Op        Op
	Addresses []eip.Address // of those asked for, the ones that exist
	Err       error
}

// Called answers an Associate or a Disassociate.
type Called struct {
	Op          Op
	Association eip.AssociationID // of an Associate that was done
	Class       eip.Class
	Err         error
}

// ReleaseAnswered answers an AskRelease. Err says why there is no release.
type ReleaseAnswered struct {
	Op      Op
	Settled bool
	Alone   bool // as in fsm.Release
	Err     error
}

// Transferred answers a Transfer.
type Transferred struct {
	Op  Op
	Err error
}

// ReportDelivered answers a Report.
type ReportDelivered struct {
	Op  Op
	Err error
}

// PeerReported is a peer's word about itself, sent to the leader.
type PeerReported struct{ Facts Facts }

// ReleaseAsked is a new leader's request that this node end its claim. Answered by a Reply.
type ReleaseAsked struct {
	Op      Op
	By      fsm.NodeName // who asks; "" without TLS
	Address fsm.AllocationID
	Term    uint64 // the asking leader's, as it says
	Ends    uint64 // index of the claim
}

// TransferAsked is an operator's request to move the address. Answered by a Reply.
type TransferAsked struct {
	Op Op
	To fsm.NodeName // "" = the best candidate
}

// DrainAsked is an operator's request to take a node out of the candidates, or back among them. Answered by a Reply.
type DrainAsked struct {
	Op      Op
	Node    fsm.NodeName
	Drained bool
}

// Reconfigured brings settings that a running node takes.
type Reconfigured struct{ Settings Settings }

// AdvertHeard is an advert of a peer.
type AdvertHeard struct {
	From     fsm.NodeName
	Priority uint8
	Interval time.Duration // the sender's
	At       time.Duration // CLOCK_BOOTTIME when it was read
}

// SilenceAsked is a voter's question whether this node misses the leader's adverts too. Answered by a Reply.
type SilenceAsked struct {
	Op      Op
	Term    uint64
	Suspect fsm.NodeName
}

// Polled answers a Poll: Err nil if a quorum misses the suspect's adverts, nobody has a newer log, and the suspect does not answer.
// Up says that its machine accepts connections all the same.
type Polled struct {
	Op  Op
	Up  bool
	Err error
}

// Hinted answers a Hint. Err nil says that Raft took it; who leads is told by Leadership.
type Hinted struct {
	Op  Op
	Err error
}

// AdmitAsked is a request to let a node in. Answered by a Reply when that is committed, or refused.
type AdmitAsked struct {
	Op   Op
	Node fsm.Attributes
	Why  string
}

// RemoveAsked is a request to remove a node. Answered by a Reply when that is committed, or refused; or with To set: this leader is the
// node, and hands over first.
type RemoveAsked struct {
	Op   Op
	Node fsm.NodeName
	// Server says that the node is a member of Raft.
	Server bool
	Why    string
}

// ShutdownAsked starts an orderly end.
type ShutdownAsked struct{}

// Tick says that the deadline has passed.
type Tick struct{}

func (Leadership) event()      {}
func (Committed) event()       {}
func (HealthChecked) event()   {}
func (Reachable) event()       {}
func (Proposed) event()        {}
func (Observed) event()        {}
func (Called) event()          {}
func (ReleaseAnswered) event() {}
func (Transferred) event()     {}
func (ReportDelivered) event() {}
func (PeerReported) event()    {}
func (ReleaseAsked) event()    {}
func (TransferAsked) event()   {}
func (DrainAsked) event()      {}
func (Reconfigured) event()    {}
func (AdmitAsked) event()      {}
func (RemoveAsked) event()     {}
func (ShutdownAsked) event()   {}
func (Tick) event()            {}
func (AdvertHeard) event()     {}
func (SilenceAsked) event()    {}
func (Polled) event()          {}
func (Hinted) event()          {}

// Facts are what a node says of itself: who it is and how it is.
type Facts struct {
	Node    fsm.Attributes `json:"node"`
	Healthy bool           `json:"healthy"`
	EC2     bool           `json:"ec2"`
	Reason  string         `json:"reason,omitempty"`
}
