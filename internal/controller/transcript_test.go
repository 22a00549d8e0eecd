package controller

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata/ with what the core does now")

// TestTranscripts plays testdata/*.txt. A line at the margin is an input, an indented one is what the core did about it.
// After a change: go test -run TestTranscripts -update, and read the diff.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("transcripts: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newPlay(t).run(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the core does something else now; run with -update and read the diff. Got:\n%s", got)
			}
		})
	}
}

const (
	testEIP   fsm.AllocationID = "eipalloc-1"
	secondEIP fsm.AllocationID = "eipalloc-2"
	selfName  fsm.NodeName     = "node-a"
)

var (
	mine   = eip.Target{ENI: "eni-a", PrivateIP: netip.MustParseAddr("10.0.0.1")}
	theirs = eip.Target{ENI: "eni-b", PrivateIP: netip.MustParseAddr("10.0.0.2")}
)

func testConfig() Config {
	return Config{
		Self:      fsm.Attributes{Name: selfName, Address: "10.0.0.1:7946", Priority: 100, ENI: "eni-a", PrivateIP: "10.0.0.1"},
		Addresses: []Placed{{ID: testEIP, Target: mine}}, Fencing: fsm.Balanced, Drift: Repair, Timing: DefaultTiming(),
		Jitter:    func(limit time.Duration) time.Duration { return limit / 2 },
		WallClock: func() int64 { return 0 },
	}
}

// play drives one core, and stands in for Raft, EC2 and the peers as the script says.
type play struct {
	t         *testing.T
	cfg       Config
	core      *Core
	now       time.Duration
	state     fsm.State
	term      uint64
	out       strings.Builder
	proposals []Propose
	changes   []Transition
	pending   map[string]Op // newest outstanding operation by kind
	contacts  Reachable
	id        fsm.AllocationID // that a line is about: the first, or the second with "/2" behind the verb
}

func newPlay(t *testing.T) *play {
	p := &play{t: t, cfg: testConfig(), state: fsm.New(), pending: map[string]Op{}}
	p.cfg.WallClock = func() int64 { return p.now.Milliseconds() }
	return p
}

func (p *play) run(script string) string {
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue // an earlier answer
		}
		p.out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p.input(strings.Fields(line))
	}
	return p.out.String()
}

func (p *play) input(words []string) {
	if d, ok := strings.CutPrefix(words[0], "+"); ok {
		p.pass(p.duration(d))
		words = words[1:]
	}
	if p.core == nil && words[0] != "config" {
		p.core = NewCore(p.cfg)
	}
	rest := strings.Join(words[1:], " ")
	p.id = testEIP
	if verb, ok := strings.CutSuffix(words[0], "/2"); ok {
		words[0], p.id = verb, secondEIP
	}
	switch words[0] {
	case "config":
		p.configure(words[1:])
	case "node", "log", "unseen":
		p.entry(words)
	case "commit":
		p.commit()
	case "commit-fails":
		first := p.proposals[0]
		p.proposals = p.proposals[1:]
		p.step(Proposed{Op: first.Op, Err: errors.New(rest)})
	case "wait":
		p.wait(p.now + p.duration(rest))
	default:
		p.step(p.event(words[0], words[1:], rest))
	}
}

func (p *play) configure(words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "fencing":
			p.cfg.Fencing = fsm.Fencing(value)
		case "drift":
			p.cfg.Drift = DriftPolicy(value)
		case "preempt":
			p.cfg.Preempt, p.cfg.PreemptDelay = true, p.duration(value)
		case "witness":
			p.cfg.Self.Witness = true
		case "hints":
			p.cfg.Hints = true
		case "addresses":
			p.cfg.Addresses = append(p.cfg.Addresses, Placed{ID: secondEIP, Target: eip.Target{ENI: mine.ENI, PrivateIP: netip.MustParseAddr("10.0.1.1")}})
			p.cfg.MasterOfAny = value == "any"
		case "damping": // failures within a minute, so many minutes to wait
			p.cfg.Damping = Damping{Failures: int(p.number(value)), Within: time.Minute, Wait: time.Minute}
		case "level":
			p.cfg.Self.Level = fsm.Level(p.number(value))
		case "state-level":
			p.state.Level = fsm.Level(p.number(value))
		case "vrrp":
			p.cfg.Self.VRRPAddress = value
		case "wire": // node-a to node-c are configured, at 10.0.0.1 to 10.0.0.3
			for i, name := range []fsm.NodeName{"node-a", "node-b", "node-c"} {
				p.cfg.Configured = append(p.cfg.Configured, fsm.Attributes{Name: name, VRRPAddress: fmt.Sprintf("10.0.0.%d", i+1)})
			}
		case "priority":
			p.cfg.Self.Priority = uint8(p.number(value))
		default:
			p.t.Fatalf("config %q", w)
		}
	}
}

// event turns a line into an event.
func (p *play) event(verb string, words []string, rest string) Event {
	switch verb {
	case "leader":
		p.term = p.number(words[1])
		l := Leadership{Term: p.term, Leader: fsm.NodeName(words[0]), Self: words[0] == string(selfName)}
		if words[0] == "none" {
			l.Leader = ""
		}
		return l
	case "health":
		return HealthChecked{Healthy: words[0] == "up", Reason: strings.Join(words[1:], " ")}
	case "reachable":
		p.contacts.Peers = nodeNames(words)
		return p.contacts
	case "voters":
		p.contacts.Voters = nodeNames(words)
		return p.contacts
	case "read":
		return p.read(rest)
	case "called":
		return p.called(words)
	case "release":
		e := ReleaseAnswered{Op: p.take("release" + p.second()), Settled: rest == "given", Alone: rest == "given"}
		if rest != "given" {
			e.Err = errors.New(rest)
		}
		return e
	case "transferred":
		return Transferred{Op: p.take("transfer"), Err: failure(rest)}
	case "reported":
		return ReportDelivered{Op: p.take("report"), Err: failure(rest)}
	case "peer-reports":
		return PeerReported{Facts: Facts{Node: p.attributes(fsm.NodeName(words[0]), words), Healthy: words[1] == "up", EC2: true}}
	case "release-asked":
		e := ReleaseAsked{Op: 900, Address: p.id, Term: p.number(words[0]), Ends: p.number(words[1])}
		if len(words) > 2 {
			e.By = fsm.NodeName(words[2])
		}
		return e
	case "transfer-asked":
		return TransferAsked{Op: 901, To: fsm.NodeName(rest)}
	case "drain-asked", "undrain-asked":
		return DrainAsked{Op: 904, Node: fsm.NodeName(rest), Drained: verb == "drain-asked"}
	case "settings":
		return p.settings(words)
	case "admit-asked":
		n := fsm.Attributes{Name: fsm.NodeName(words[0]), Address: words[1] + ":7400", VRRPAddress: words[1], Priority: 100,
			Witness: slices.Contains(words, "witness")}
		return AdmitAsked{Op: 903, Node: n, Why: "let in"}
	case "remove-asked":
		return RemoveAsked{Op: 903, Node: fsm.NodeName(words[0]), Server: slices.Contains(words, "voter"), Why: removedByOperator}
	case "shutdown":
		return ShutdownAsked{}
	case "tick":
		return Tick{}
	case "advert":
		e := AdvertHeard{From: fsm.NodeName(words[0]), Priority: 110, Interval: p.duration(words[1]), At: p.now}
		if len(words) > 2 {
			e.Priority = uint8(p.number(words[2]))
		}
		return e
	case "stalled": // the clock goes on, and nobody runs the core
		p.now += p.duration(rest)
		return Tick{}
	case "silence-asked":
		return SilenceAsked{Op: 902, Suspect: fsm.NodeName(words[0]), Term: p.number(words[1])}
	case "polled":
		e := Polled{Op: p.take("poll"), Err: failure(rest)}
		switch rest {
		case "machine-up":
			e.Up, e.Err = true, errMachineUp
		case "ok-agent":
			e.Up, e.Err = true, nil
		}
		return e
	case "hinted":
		return Hinted{Op: p.take("hint"), Err: failure(rest)}
	}
	p.t.Fatalf("unknown input %q", verb)
	return nil
}

// settings are those of the play but for what is said.
func (p *play) settings(words []string) Event {
	p.configure(words)
	t := p.cfg.Timing
	return Reconfigured{Settings: Settings{Drift: p.cfg.Drift, Preempt: p.cfg.Preempt, PreemptDelay: p.cfg.PreemptDelay, Damping: p.cfg.Damping,
		ObserveInterval: t.ObserveInterval, ConfirmTimeout: t.ConfirmTimeout, ReleaseWait: t.ReleaseWait}}
}

func failure(text string) error {
	if text == "" || text == "ok" {
		return nil
	}
	return errors.New(text)
}

// read is EC2's answer: "mine x1", "theirs x1" or "free" for each address, "gone" for one that does not exist, or an error.
func (p *play) read(rest string) Event {
	e := Observed{Op: p.take("observe")}
	for i, text := range strings.Split(rest, " / ") {
		placed, other := p.cfg.Addresses[i], theirs
		other.PrivateIP = otherPrivateIP(i)
		words := strings.Fields(text)
		a := eip.Address{AllocationID: eip.AllocationID(placed.ID)}
		switch words[0] {
		case "free":
		case "mine":
			a.AssociationID, a.ENI, a.PrivateIP = eip.AssociationID(words[1]), placed.Target.ENI, placed.Target.PrivateIP
		case "theirs":
			a.AssociationID, a.ENI, a.PrivateIP = eip.AssociationID(words[1]), other.ENI, other.PrivateIP
		case "gone":
			continue
		case "throttled":
			e.Err = &smithy.GenericAPIError{Code: "RequestLimitExceeded"}
			return e
		default:
			e.Err = errors.New(rest)
			return e
		}
		e.Addresses = append(e.Addresses, a)
	}
	return e
}

// otherPrivateIP is where the other node has address i.
func otherPrivateIP(i int) netip.Addr {
	if i == 0 {
		return theirs.PrivateIP
	}
	return netip.AddrFrom4([4]byte{10, 0, 1, byte(2 + i)})
}

func (p *play) called(words []string) Event {
	e := Called{Op: p.take("call" + p.second())}
	for class := eip.Unknown; class <= eip.Denied; class++ {
		if class.String() == strings.ReplaceAll(words[0], "-", " ") {
			e.Class = class
		}
	}
	if e.Class != eip.Done {
		e.Err = errors.New(words[0])
	} else if len(words) > 1 {
		e.Association = eip.AssociationID(words[1])
	}
	return e
}

// entry applies an entry that the core did not propose: members, and what other leaders committed.
func (p *play) entry(words []string) {
	name := fsm.NodeName(words[1])
	o := fsm.Origin{Term: p.term, UnixMilli: p.now.Milliseconds()}
	claim := p.state.Addresses[p.id].Claim
	switch {
	case words[0] == "node":
		p.apply(fsm.UpsertNode{Origin: o, Node: p.attributes(name, words).At(p.state.Level)})
		p.apply(fsm.SetHealth{Origin: o, Node: name, Healthy: !slices.Contains(words, "unhealthy"), EC2: !slices.Contains(words, "cut-off")})
		p.apply(fsm.SetDrain{Origin: o, Node: name, Drained: slices.Contains(words, "drained")})
	case words[2] == "claims":
		c := fsm.Claim{Origin: o, Node: name, AllocationID: p.id, Fencing: p.cfg.Fencing, Mode: fsm.Mode(words[3])}
		if len(words) > 4 {
			c.Observed, c.Association = true, fsm.AssociationID(strings.TrimPrefix(words[4], "-"))
		}
		p.apply(c)
	case words[2] == "confirms":
		p.apply(fsm.Confirm{Origin: o, Node: name, AllocationID: p.id, Claim: claim.Index, Association: fsm.AssociationID(words[3]), Settled: true})
	case words[2] == "releases":
		p.apply(fsm.Release{Origin: o, Node: name, AllocationID: p.id, Ends: claim.Index, Settled: true})
	case words[2] == "respects":
		p.apply(fsm.Release{Origin: o, Node: name, AllocationID: p.id, Ends: claim.Index, Settled: true, Foreign: fsm.AssociationID(words[3])})
	case words[2] == "fails", words[2] == "recovers":
		p.apply(fsm.SetHealth{Origin: o, Node: name, Healthy: words[2] == "recovers", EC2: true})
	case words[2] == "knows":
		p.apply(fsm.UpsertNode{Origin: o, Node: p.attributes(name, words).At(p.state.Level)})
	case words[2] == "removes":
		p.apply(fsm.RemoveNode{Origin: o, Node: fsm.NodeName(words[3])})
	case words[2] == "goes-on-alone":
		p.state.Recover(name, nil, p.now.Milliseconds(), "the quorum is lost")
	case words[2] == "drains":
		p.apply(fsm.SetDrain{Origin: o, Node: name, Drained: true})
	default:
		p.t.Fatalf("unknown entry %q", words)
	}
	if words[0] != "unseen" { // by this node, yet
		p.step(Committed{State: p.state.Clone()})
	}
}

// attributes of a node; the words may say the level that its build knows.
func (p *play) attributes(name fsm.NodeName, words []string) fsm.Attributes {
	priority := map[fsm.NodeName]uint8{"node-b": 110, "node-c": 90}[name]
	a := fsm.Attributes{Name: name, Priority: priority, ENI: strings.Replace(string(name), "node", "eni", 1)}
	if name == selfName {
		a = p.cfg.Self
	}
	for _, w := range words {
		if level, ok := strings.CutPrefix(w, "level="); ok {
			a.Level = fsm.Level(p.number(level))
		}
	}
	return a
}

func (p *play) apply(c fsm.Command) fsm.Result {
	entry, err := fsm.Encode(c)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.state.Apply(p.state.Index+1, p.term, entry)
}

// commit applies what is proposed, in order, also what is proposed meanwhile, and answers each.
func (p *play) commit() {
	batch := p.proposals
	p.proposals = nil
	for _, proposal := range batch {
		result := p.apply(proposal.Command)
		if result.Denied != "" {
			fmt.Fprintf(&p.out, "  (denied: %s)\n", result.Denied)
		}
		p.step(Committed{State: p.state.Clone()})
		p.step(Proposed{Op: proposal.Op, Result: result})
	}
}

// wait lets time pass, with a Tick at each deadline.
// pass lets time go by before an event. Without hints the ticks on the way are left out: an event may well come before one that is due.
func (p *play) pass(d time.Duration) {
	if p.core == nil || !p.cfg.Hints {
		p.now += d
		return
	}
	p.wait(p.now + d)
}

func (p *play) wait(until time.Duration) {
	for range 1000 {
		d := p.core.Deadline()
		if d == 0 || d > until {
			p.now = until
			return
		}
		p.now = d
		p.step(Tick{})
	}
	p.t.Fatal("the core wants a tick again and again")
}

func (p *play) step(e Event) {
	for _, a := range p.core.Step(p.now, e) {
		fmt.Fprintf(&p.out, "  %s\n", p.describe(a))
	}
}

// describe prints an action and remembers its operation.
func (p *play) describe(a Action) string {
	switch a := a.(type) {
	case Propose:
		p.proposals = append(p.proposals, a)
		return fmt.Sprintf("propose in term %d: %s", a.Term, describeCommand(a.Command))
	case Observe:
		p.pending["observe"] = a.Op
		return "read the address"
	case Associate:
		p.id = a.Address
		p.pending["call"+p.second()] = a.Op
		return fmt.Sprintf("AssociateAddress%s allow-reassociation=%v under claim %d of term %d", p.second(), a.AllowReassociation, a.Claim, a.Term)
	case Disassociate:
		p.id = a.Address
		p.pending["call"+p.second()] = a.Op
		return fmt.Sprintf("DisassociateAddress%s %s under claim %d of term %d", p.second(), a.Association, a.Claim, a.Term)
	case AskRelease:
		p.id = a.Address
		p.pending["release"+p.second()] = a.Op
		return fmt.Sprintf("ask %s to release%s claim %d, as leader of term %d, within %v", a.Holder, p.second(), a.Ends, a.Term, a.Within)
	case Poll:
		p.pending["poll"] = a.Op
		return fmt.Sprintf("ask the voters whether they miss %s, leader of term %d, grace %v, patient=%v", a.Suspect, a.Term, a.Grace, a.Patient)
	case Hint:
		p.pending["hint"] = a.Op
		return fmt.Sprintf("stand for election in place of %s, leader of term %d", a.Suspect, a.Term)
	case Transfer:
		p.pending["transfer"] = a.Op
		return "transfer the leadership to " + string(a.To)
	case Report:
		p.pending["report"] = a.Op
		return fmt.Sprintf("report to %s: healthy=%v ec2=%v", a.Leader, a.Facts.Healthy, a.Facts.EC2)
	case Reply:
		if a.Op == 902 {
			return fmt.Sprintf("reply: misses=%v", a.Misses)
		}
		if a.Op == 903 {
			return fmt.Sprintf("reply: to=%s error=%v", a.To, a.Err)
		}
		return fmt.Sprintf("reply: to=%s settled=%v alone=%v error=%v", a.To, a.Settled, a.Alone, a.Err)
	case Rewire:
		return fmt.Sprintf("the wire: adverts go to %v and come from %v", a.Peers, a.Senders)
	case Reign:
		return fmt.Sprintf("advertise as Master of term %d, first in %v", a.Term, max(0, a.NotBefore-p.now))
	case Resign:
		return "send priority 0: " + a.Reason
	case Transition:
		p.changes = append(p.changes, a)
		if a.Cause == "" {
			p.t.Errorf("%s -> %s: no cause for %q", a.From, a.To, a.Reason)
		}
		return fmt.Sprintf("%s -> %s: %s", a.From, a.To, a.Reason)
	case Note:
		return fmt.Sprintf("note: %s: %v", a.Text, a.Err)
	case Stop:
		return fmt.Sprintf("stop: %v", a.Err)
	}
	p.t.Fatalf("unknown action %T", a)
	return ""
}

// second marks what is about the second address.
func (p *play) second() string {
	if p.id == secondEIP {
		return "/2"
	}
	return ""
}

func describeCommand(c fsm.Command) string {
	text := describeBody(c)
	if strings.Contains(fmt.Sprintf("%+v", c), string(secondEIP)) {
		text += " /2"
	}
	return text
}

func describeBody(c fsm.Command) string {
	switch c := c.(type) {
	case fsm.Claim:
		if c.Observed {
			return fmt.Sprintf("%s claims by %s, having read %q (%s)", c.Node, c.Mode, c.Association, c.Reason)
		}
		return fmt.Sprintf("%s claims by %s (%s)", c.Node, c.Mode, c.Reason)
	case fsm.Confirm:
		return fmt.Sprintf("claim %d is confirmed as %s", c.Claim, c.Association)
	case fsm.Release:
		return fmt.Sprintf("claim %d of %s ends, settled=%v alone=%v foreign=%q (%s)", c.Ends, c.Node, c.Settled, c.Alone, c.Foreign, c.Reason)
	case fsm.GuardDone:
		return fmt.Sprintf("guard of %s done through claim %d", c.Association, c.Through)
	case fsm.SetHealth:
		return fmt.Sprintf("%s is healthy=%v ec2=%v", c.Node, c.Healthy, c.EC2)
	case fsm.SetDrain:
		return fmt.Sprintf("%s is drained=%v (%s)", c.Node, c.Drained, c.Reason)
	case fsm.UpsertNode:
		if c.Node.Level != 0 {
			return fmt.Sprintf("%s is a member, knows level %d, vrrp=%q", c.Node.Name, c.Node.Level, c.Node.VRRPAddress)
		}
		return fmt.Sprintf("%s is a member", c.Node.Name)
	case fsm.SetLevel:
		return fmt.Sprintf("level %d (%s)", c.Level, c.Reason)
	case fsm.AdmitNode:
		return fmt.Sprintf("%s is let in at %s", c.Node.Name, c.Node.Address)
	case fsm.RemoveNode:
		return fmt.Sprintf("%s is removed (%s)", c.Node, c.Reason)
	}
	return fmt.Sprintf("%+v", c)
}

func (p *play) take(kind string) Op {
	op := p.pending[kind]
	if op == 0 {
		p.t.Fatalf("no %s is outstanding after:\n%s", kind, p.out.String())
	}
	delete(p.pending, kind)
	return op
}

func (p *play) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func (p *play) number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}
