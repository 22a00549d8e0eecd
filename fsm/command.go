package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// AllocationID names an Elastic IP, "eipalloc-…".
type AllocationID string

// AssociationID names one association of an Elastic IP with a network interface, "eipassoc-…". EC2 never uses one twice.
type AssociationID string

// NodeName is a configured node's name.
type NodeName string

// Mode is how a granted claim may be carried out.
type Mode string

// The modes of a claim (docs/DESIGN.md, "The claim").
const (
	// Takeover: the predecessor may have calls in flight; compare-and-set.
	Takeover Mode = "takeover"
	// Handover: the predecessor released and has nothing in flight; one atomic AssociateAddress.
	Handover Mode = "handover"
	// Seizure: the predecessor did not release, and fast fencing makes one atomic AssociateAddress all the same.
	Seizure Mode = "seizure"
	// Adopt: the association is already the claimer's; no call.
	Adopt Mode = "adopt"
)

// Fencing is the configured strictness of the claim protocol.
type Fencing string

// The fencing levels.
const (
	// Strict makes every call compare-and-set, and refreshes an association whose id is contested.
	Strict Fencing = "strict"
	// Balanced allows one atomic call in a handover and adopts a contested association under guard.
	Balanced Fencing = "balanced"
	// Fast is Balanced with one atomic call in place of a takeover, unless an earlier atomic call may still land.
	Fast Fencing = "fast"
)

// Command is one entry of the replicated log. Every command carries the term in which its proposer is leader; applying it
// under another term denies it, because raft.Apply has no term precondition.
type Command interface {
	kind() kind
	// term in which the proposer is leader.
	term() uint64
	// level at which builds understand it.
	level() Level
}

// Origin is what all commands say of themselves.
type Origin struct {
	// Term in which the proposer is leader.
	Term uint64 `json:"term"`
	// UnixMilli is the proposer's wall clock: for people, and for State.Unanswered.
	UnixMilli int64 `json:"unix_ms,omitempty"`
	// Reason in a human clause: "haproxy master process exited".
	Reason string `json:"reason,omitempty"`
}

func (o Origin) term() uint64 { return o.Term }

// Claim asks for the right to hold an Elastic IP. Its [Result] carries the [Grant].
type Claim struct {
	Origin
	Node         NodeName     `json:"node"`
	AllocationID AllocationID `json:"allocation_id"`
	Fencing      Fencing      `json:"fencing"`
	// Mode asked for. Adopt wants Association; Handover falls back to Seizure or Takeover when the state does not allow it.
	Mode Mode `json:"mode"`
	// Released wants the claim before this one to be released, and no grant otherwise: the holder is asked first then.
	Released bool `json:"released,omitempty"`
	// Observed says that Association was read from EC2 before this entry was proposed ("" = the address is free).
	// Without it a takeover displaces the association that the state knows.
	Observed    bool          `json:"observed,omitempty"`
	Association AssociationID `json:"association_id,omitempty"`
}

// Confirm reports that the claim was carried out: the address is associated with the claimer under this id.
type Confirm struct {
	Origin
	Node         NodeName      `json:"node"`
	AllocationID AllocationID  `json:"allocation_id"`
	Claim        uint64        `json:"claim"` // index of the granted claim
	Association  AssociationID `json:"association_id"`
	// Settled says that EC2 answered the claim's call; a read that merely shows the association does not settle it.
	Settled bool `json:"settled,omitempty"`
}

// Release ends a claim: its node makes no call any more until a new claim, and has none in flight. A second one, without
// Foreign, ends the respect of a foreign move.
type Release struct {
	Origin
	Node         NodeName     `json:"node"` // whose claim ends; not always the proposer
	AllocationID AllocationID `json:"allocation_id"`
	Ends         uint64       `json:"ends"` // index of the claim that ends
	// Settled says that the atomic attempt of that claim was never sent or was certainly refused.
	Settled bool `json:"settled,omitempty"`
	// Alone says that no reign before this claim's can still be on the wire, so that the next claimer may advertise at once (I3).
	Alone bool `json:"alone,omitempty"`
	// Foreign is set when a move by somebody else is respected: nobody claims while this association stands.
	Foreign AssociationID `json:"foreign,omitempty"`
}

// GuardDone ends the guard of an address: no request signed before it began can be executed any more.
type GuardDone struct {
	Origin
	Node         NodeName      `json:"node"`
	AllocationID AllocationID  `json:"allocation_id"`
	Association  AssociationID `json:"association_id"`
	Through      uint64        `json:"through"` // attempts of claims up to this index are over
}

// SetHealth records what a node says of its own HAProxy and of its way to EC2.
type SetHealth struct {
	Origin
	Node    NodeName `json:"node"`
	Healthy bool     `json:"healthy"`
	EC2     bool     `json:"ec2"` // reaches the EC2 API
}

// SetDrain takes a node out of, or back into, the set of candidates.
type SetDrain struct {
	Origin
	Node    NodeName `json:"node"`
	Drained bool     `json:"drained"`
}

// UpsertNode records a node's attributes. Health and drain of a known node are kept.
type UpsertNode struct {
	Origin
	Node Attributes `json:"node"`
}

// AdmitNode lets a node in: it may join the cluster under these attributes, whether it was removed before or not. A member may be admitted
// again, at another address say, which is how a machine is replaced by one elsewhere.
type AdmitNode struct {
	Origin
	Node Attributes `json:"node"`
}

// RemoveNode forgets a node and remembers its name: it may not join again, configured or not, before it is admitted again.
type RemoveNode struct {
	Origin
	Node NodeName `json:"node"`
}

// SetLevel raises the level of the state: from here on commands up to this level are accepted, and no build that knows less can take part.
// It is denied while some node's build does.
type SetLevel struct {
	Origin
	Level Level `json:"level"`
	// Needs is the version of the proposer's build: what an older one is told to install.
	Needs string `json:"needs,omitempty"`
}

type kind string

const (
	kindClaim      kind = "claim"
	kindConfirm    kind = "confirm"
	kindRelease    kind = "release"
	kindGuardDone  kind = "guard-done"
	kindSetHealth  kind = "set-health"
	kindSetDrain   kind = "set-drain"
	kindUpsertNode kind = "upsert-node"
	kindAdmitNode  kind = "admit-node"
	kindRemoveNode kind = "remove-node"
	kindSetLevel   kind = "set-level"
)

func (Claim) kind() kind      { return kindClaim }
func (Confirm) kind() kind    { return kindConfirm }
func (Release) kind() kind    { return kindRelease }
func (GuardDone) kind() kind  { return kindGuardDone }
func (SetHealth) kind() kind  { return kindSetHealth }
func (SetDrain) kind() kind   { return kindSetDrain }
func (UpsertNode) kind() kind { return kindUpsertNode }
func (AdmitNode) kind() kind  { return kindAdmitNode }
func (RemoveNode) kind() kind { return kindRemoveNode }
func (SetLevel) kind() kind   { return kindSetLevel }

// maxCommandSize bounds one command in bytes; the largest real one has a few hundred.
const maxCommandSize = 64 << 10

// ErrMalformed says that bytes are no command or no snapshot.
var ErrMalformed = errors.New("malformed")

type envelope struct {
	Kind kind            `json:"kind"`
	Body json.RawMessage `json:"body"`
}

// Encode returns the log entry's bytes: the command's level in one byte, then JSON. What Decode would refuse for its size is an error that
// wraps ErrMalformed: in the log it would do nothing but take room.
func Encode(c Command) ([]byte, error) {
	if c.level() > Newest {
		return nil, fmt.Errorf("encode %s of level %d: this build knows levels up to %d", c.kind(), c.level(), Newest)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.kind(), err)
	}
	text, err := json.Marshal(envelope{Kind: c.kind(), Body: body})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.kind(), err)
	}
	if len(text) >= maxCommandSize {
		return nil, fmt.Errorf("encode %s of %d bytes, want less than %d: %w", c.kind(), len(text), maxCommandSize, ErrMalformed)
	}
	return append([]byte{byte(c.level())}, text...), nil
}

// Decode reads what Encode wrote. Errors wrap *NewerError or ErrMalformed.
func Decode(b []byte) (Command, error) { return decode(Newest, b) }

func decode(knows Level, b []byte) (Command, error) {
	if err := knows.Check(b); err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	if len(b) == 0 || len(b) > maxCommandSize {
		return nil, fmt.Errorf("decode command of %d bytes: %w", len(b), ErrMalformed)
	}
	var e envelope
	if err := strictUnmarshal(b[1:], &e); err != nil {
		return nil, fmt.Errorf("decode command: %w: %w", ErrMalformed, err)
	}
	c, err := decodeBody(e)
	if err == nil && c.level() != Level(b[0]) {
		// A build that knows no more than that first byte does not know the command.
		return nil, fmt.Errorf("decode %s of level %d, said to be of level %d: %w", e.Kind, c.level(), b[0], ErrMalformed)
	}
	return c, err
}

func decodeBody(e envelope) (Command, error) {
	switch e.Kind {
	case kindClaim:
		return decodeAs[Claim](e)
	case kindConfirm:
		return decodeAs[Confirm](e)
	case kindRelease:
		return decodeAs[Release](e)
	case kindGuardDone:
		return decodeAs[GuardDone](e)
	case kindSetHealth:
		return decodeAs[SetHealth](e)
	case kindSetDrain:
		return decodeAs[SetDrain](e)
	case kindUpsertNode:
		return decodeAs[UpsertNode](e)
	case kindAdmitNode:
		return decodeAs[AdmitNode](e)
	case kindRemoveNode:
		return decodeAs[RemoveNode](e)
	case kindSetLevel:
		return decodeAs[SetLevel](e)
	default:
		return nil, fmt.Errorf("decode command of kind %q: %w", e.Kind, ErrMalformed)
	}
}

func decodeAs[C Command](e envelope) (Command, error) {
	var c C
	if err := strictUnmarshal(e.Body, &c); err != nil {
		return nil, fmt.Errorf("decode %s: %w: %w", e.Kind, ErrMalformed, err)
	}
	return c, nil
}

// strictUnmarshal refuses unknown fields: a field that one replica understands and another drops would make them differ.
func strictUnmarshal(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	// Decoder.More does not see a trailing bracket.
	if len(bytes.TrimSpace(b[d.InputOffset():])) > 0 {
		return errors.New("trailing bytes")
	}
	return nil
}
