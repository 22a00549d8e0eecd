package fsm

import (
	"encoding/json"
	"fmt"
)

// Level says what a build understands of commands and snapshots, and which of that a cluster uses (docs/UPGRADE.md). Every command has
// one, the first byte of its encoding; a [State] has one, the first byte of its snapshot, and holds nothing that its level does not know.
// What a level means never changes once it was released: a new field or kind of command is a new level, and a command that is to do
// something else does so in a state of the new level only.
//
//	1  the first release
//	2  Attributes.VRRPAddress; AdmitNode, and RemoveNode remembers the name; Address.Uncertain
type Level uint8

func (Claim) level() Level        { return 1 }
func (Confirm) level() Level      { return 1 }
func (Release) level() Level      { return 1 }
func (GuardDone) level() Level    { return 1 }
func (SetHealth) level() Level    { return 1 }
func (SetDrain) level() Level     { return 1 }
func (c UpsertNode) level() Level { return c.Node.level() }
func (AdmitNode) level() Level    { return 2 }
func (RemoveNode) level() Level   { return 1 }

// A build that does not know the level must not pass the entry that raises the state to it.
func (c SetLevel) level() Level { return c.Level }

// At returns what may be committed of the attributes at a level: those that it knows.
func (a Attributes) At(l Level) Attributes {
	if l < 2 {
		a.VRRPAddress = ""
	}
	return a
}

func (a Attributes) level() Level {
	if a != a.At(1) {
		return 2
	}
	return 1
}

// NewerError says that a build is too old for a command, a snapshot or a cluster.
type NewerError struct {
	Level, Knows Level
	// Needs is a version that knows the level; "" if nothing says.
	Needs string
}

// Error implements error.
func (e *NewerError) Error() string {
	remedy := "install the version that the other nodes run"
	if e.Needs != "" {
		remedy = "install hacluster " + e.Needs + " or later"
	}
	return fmt.Sprintf("the state of the cluster is at level %d, and a build that knows levels up to %d cannot read it: %s", e.Level, e.Knows, remedy)
}

// Check returns a *NewerError for a command or snapshot that a build which knows this level cannot read. It must then end: it can neither
// apply it, nor pass it over. What is malformed is so for every build, and no concern of Check.
func (knows Level) Check(b []byte) error {
	if len(b) == 0 || Level(b[0]) <= knows {
		return nil
	}
	// This much of every later level can be read: the version that it needs, in a snapshot and in the entry that raised it.
	var outline struct {
		Needs string
		Body  struct{ Needs string }
	}
	_ = json.Unmarshal(b[1:], &outline) // if not, the sentence is shorter
	if outline.Needs == "" {
		outline.Needs = outline.Body.Needs
	}
	return &NewerError{Level: Level(b[0]), Knows: knows, Needs: outline.Needs}
}

// Admits returns a *NewerError if a build that knows the level is too old to take part.
func (s State) Admits(knows Level) error {
	if knows >= s.Level {
		return nil
	}
	return &NewerError{Level: s.Level, Knows: knows, Needs: s.Needs}
}

// setLevel is denied while a node that the state knows of would not understand what comes then.
func (s *State) setLevel(c SetLevel) Result {
	if c.Level <= s.Level {
		return denied(DeniedInvalid)
	}
	for _, n := range s.Nodes {
		if n.Level < c.Level {
			return denied(DeniedTooOld)
		}
	}
	s.Level, s.Needs = c.Level, c.Needs
	s.record(Transition{UnixMilli: c.UnixMilli, Event: fmt.Sprintf("level %d", c.Level), Reason: c.Reason})
	return Result{}
}
