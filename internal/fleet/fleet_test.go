package fleet

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/controller"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata/ with what the product does now")

// cramped is a small fleet in an account whose buckets are smaller still, so that its takeovers are throttled.
func cramped() Scenario {
	s := Default()
	s.Clusters = 30
	s.Limits = Limits{Describe: Limit{20, 2}, Associate: Limit{3, 1}, Disassociate: Limit{3, 1}}
	return s
}

// TestGoldenStudy holds the page: sizes below, at and above what the buckets hold. The product's decisions are in it, so it
// changes with them. After a change: go test -run TestGoldenStudy -update, and read the diff.
func TestGoldenStudy(t *testing.T) {
	study, err := Conduct(cramped(), []int{3, 9, 30}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	got, err := study.page()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/scale.md"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page says something else now; run with -update and read the diff. Got:\n%s", got)
	}
}

func TestSameSeedSameResult(t *testing.T) {
	first, err := Run(cramped())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Run(cramped())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, again) {
		t.Errorf("two runs of one seed differ:\n%+v\n%+v", first, again)
	}
	other := cramped()
	other.Seed++
	if differs, err := Run(other); err != nil || reflect.DeepEqual(first.Moved, differs.Moved) {
		t.Errorf("another seed: %v; it must move the addresses at other times than %v", err, first.Moved)
	}
}

// TestConverges: whatever was throttled, each address ends at a Master that lives (I6), in the agreed association.
func TestConverges(t *testing.T) {
	for _, fencing := range Fencings() {
		for _, retry := range []Retry{Jittered, Exponential, Fixed} {
			s := cramped()
			s.Fencing, s.Retry = fencing, retry
			f, err := start(s)
			if err != nil {
				t.Fatal(err)
			}
			f.steady()
			f.failZone()
			f.time.runUntil(f.time.now+10*time.Minute, nil)
			if f.err != nil {
				t.Fatal(f.err)
			}
			for _, c := range f.clusters {
				checkConverged(t, c)
			}
		}
	}
}

// TestCallsEndWithTheLeadership: an election over a living holder, which is asked for a release, and another one while the call of the
// first is out. Its node must not wait for the answer, and the address must end at the second (I6).
func TestCallsEndWithTheLeadership(t *testing.T) {
	s := Default()
	s.Clusters = 1
	f, err := start(s)
	if err != nil {
		t.Fatal(err)
	}
	c := f.clusters[0]
	holder, first, second := c.leader, c.nodes[1], c.nodes[2]
	c.elect(first)
	f.time.runUntil(f.time.now+10*time.Second, func() bool { return c.leader == holder }) // given back, once a minute
	c.elect(first)
	f.time.runUntil(f.time.now+time.Minute, func() bool { return first.call != 0 })
	if first.call == 0 {
		t.Fatal("the first leader never called EC2")
	}
	c.elect(second)
	if first.call != 0 {
		t.Error("the deposed leader waits for the answer to its call")
	}
	f.time.runUntil(f.time.now+time.Minute, nil)
	if f.err != nil || c.leader != second {
		t.Errorf("leader %s, %v; want %s", c.leader.self.Name, f.err, second.self.Name)
	}
	checkConverged(t, c)
}

func checkConverged(t *testing.T, c *cluster) {
	t.Helper()
	agreed := c.state.Addresses[c.allocation()]
	if !c.leader.alive || c.leader.core.State() != controller.Master || !c.address.At(c.leader.target) ||
		string(agreed.Association) != string(c.address.AssociationID) || agreed.Holder != c.leader.self.Name {
		t.Errorf("%s, %s back-off: %s: leader %s is %s, agreed is %s at %s, EC2 has %s at %s", c.fleet.Fencing, c.fleet.Retry,
			c.address.AllocationID, c.leader.self.Name, c.leader.core.State(), agreed.Association, agreed.Holder,
			c.address.AssociationID, c.address.ENI)
	}
}

// TestUnthrottledFleet: where the buckets suffice, a fleet behaves like its clusters one by one.
func TestUnthrottledFleet(t *testing.T) {
	s := Default()
	s.Clusters = 90
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Moved) != 30 || s.Floor() != 0 {
		t.Errorf("%d addresses moved with a floor of %v; want 30 and none", len(r.Moved), s.Floor())
	}
	if m := r.Failure.Mutating; m.Throttled != 0 || m.Served != 2*30 {
		t.Errorf("calls in the takeovers: %+v; want one DisassociateAddress and one AssociateAddress each", m)
	}
	if most := electionTo + askReleaseTakes + 2*latencyTo + 10*time.Millisecond; r.Last() > most {
		t.Errorf("the last address moved after %v; two calls and an election take %v at most", r.Last(), most)
	}
	if r.Steady.Entries != 0 || r.Steady.Transfers != 0 {
		t.Errorf("while nothing happened: %d log entries, %d leader changes", r.Steady.Entries, r.Steady.Transfers)
	}
	minutes := int(s.Steady / time.Minute)
	if reads, most := r.Steady.Reads.Calls(), 90*3*minutes; reads > most || reads < most*9/10 {
		t.Errorf("%d reads in %d minutes; want just below %d, one a minute and candidate", reads, minutes, most)
	}
}

// TestLastIsNeverBelowTheFloor: the buckets bind, whatever the back-off.
func TestLastIsNeverBelowTheFloor(t *testing.T) {
	s := cramped()
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Floor() != 7*time.Second {
		t.Errorf("floor of 10 calls, 3 in the bucket, one a second: %v", s.Floor())
	}
	if r.Failure.Mutating.Throttled == 0 || r.Last() < s.Floor() {
		t.Errorf("%+v refused, the last address moved after %v: the floor is %v", r.Failure.Mutating, r.Last(), s.Floor())
	}
}

func TestImpossibleScenarios(t *testing.T) {
	for name, spoil := range map[string]func(*Scenario){
		"no cluster":    func(s *Scenario) { s.Clusters = 0 },
		"one candidate": func(s *Scenario) { s.Candidates = 1 },
		"no share":      func(s *Scenario) { s.Share = 0 },
		"no fencing":    func(s *Scenario) { s.Fencing = "loose" },
	} {
		s := cramped()
		spoil(&s)
		if _, err := Run(s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Millisecond: "1.2 s", 24 * time.Second: "24 s", 5 * time.Minute: "5 min", 327 * time.Second: "5 min 27 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
	if got := number(1234567); got != "1,234,567" {
		t.Errorf("number: %q", got)
	}
}

func TestWriteDocs(t *testing.T) {
	study, err := Conduct(cramped(), []int{3, 9}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := study.WriteDocs(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{takeoverPlot, readsPlot} {
		text, err := os.ReadFile(dir + "/" + name)
		if err != nil || !strings.HasPrefix(string(text), "<svg ") || strings.Contains(string(text), "NaN") {
			t.Errorf("%s: %v: %.80s", name, err, text)
		}
	}
}
