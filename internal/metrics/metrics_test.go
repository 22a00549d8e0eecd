package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/vrrpwire"
)

// TestScrape: everything that a leader and a witness tell; read testdata/leader.prom.
func TestScrape(t *testing.T) {
	for file, read := range map[string]func(*Metrics){
		"testdata/leader.prom":  func(m *Metrics) { m.Read(leader().candidate()) },
		"testdata/witness.prom": func(m *Metrics) { m.Read(follower().witness()) },
	} {
		t.Run(file, func(t *testing.T) {
			atMillennium(t, func(t *testing.T) {
				m := known()
				read(m)
				golden(t, file, withoutBuckets(scrape(t, m)))
			})
		})
	}
}

// withoutBuckets leaves out what is much to read and says little.
func withoutBuckets(text string) string {
	lines := slices.Collect(strings.Lines(text))
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "_bucket{") }), "")
}

// TestLint: names, units and help are as Prometheus wants them, in the words of its Go client and of promtool.
func TestLint(t *testing.T) {
	m := known()
	m.Read(leader().candidate())
	exercise(m)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		missing(t, "promtool", "apt-get install prometheus")
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, m))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// missing skips what cannot be tested here. A skip must not hide that in CI.
func missing(t *testing.T, program, remedy string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("NOT TESTED: %s is not installed, and CI must have it: %s", program, remedy)
	}
	t.Skipf("NOT TESTED: %s is not installed: %s", program, remedy)
}

// port answers every call in the same way.
type port struct {
	controller.Raft
	err    error
	result any
}

func (p port) Observe(context.Context) ([]eip.Address, error) { return nil, p.err }
func (p port) Associate(context.Context, eip.AllocationID, bool, eip.Permit) (eip.AssociationID, error) {
	return "eipassoc-1", p.err
}
func (p port) Disassociate(context.Context, eip.AssociationID, eip.Permit) error { return p.err }
func (p port) Apply(context.Context, uint64, []byte) (uint64, any, error)        { return 1, p.result, p.err }

// exercise has something happen to everything that is counted.
func exercise(m *Metrics) {
	ctx := context.Background()
	for _, err := range []error{nil, errors.New("time-out"), eip.ErrNotSent} {
		ec2 := m.MeasureEC2(port{err: err})
		_, _ = ec2.Observe(ctx)
		_, _ = ec2.Associate(ctx, "", true, nil)
		_ = ec2.Disassociate(ctx, "", nil)
	}
	for _, p := range []port{{result: fsm.Result{Grant: fsm.Grant{Index: 5, Mode: fsm.Handover}}}, {result: fsm.Result{}},
		{result: fsm.Result{Denied: fsm.DeniedNotReleased}}, {err: errors.New("leadership lost")}} {
		_, _, _ = m.MeasureRaft(p).Apply(ctx, 1, nil)
	}
	change := controller.Change{Transition: controller.Transition{From: controller.Backup, To: controller.Master, Reason: "lb-2 released",
		Cause: controller.CauseReleased}}
	m.Observer().Changed(change)
	m.Observer().Changed(change)
}

// TestWhatHappensIsCounted: calls by outcome, entries by answer, changes of state by the word for their reason.
func TestWhatHappensIsCounted(t *testing.T) {
	m := known()
	exercise(m)
	text := scrape(t, m)
	for _, want := range []string{
		`hacluster_ec2_calls_total{api="AssociateAddress",class="done",%s} 1`,
		`hacluster_ec2_calls_total{api="AssociateAddress",class="unknown",%s} 1`,
		`hacluster_ec2_calls_total{api="DisassociateAddress",class="not_sent",%s} 1`,
		`hacluster_ec2_calls_total{api="DescribeAddresses",class="throttled",%s} 0`,
		`hacluster_ec2_call_duration_seconds_count{api="DescribeAddresses",%s} 2`, // what was not sent took EC2 no time
		`hacluster_claims_granted_total{%s,mode="handover"} 1`,
		`hacluster_claims_granted_total{%s,mode="takeover"} 0`,
		`hacluster_entries_denied_total{%s,reason="the_claim_before_is_not_released"} 1`,
		`hacluster_raft_apply_duration_seconds_count{%s} 3`,
		`hacluster_raft_apply_failures_total{%s} 1`,
		`hacluster_state_entered_total{%s,state="Master"} 2`,
		`hacluster_state_entered_total{%s,state="Fault"} 0`,
		`hacluster_transitions_total{%s,from="Backup",reason="released",to="Master"} 2`,
	} {
		if want = strings.Replace(want, "%s", `cluster="edge",node="lb-1"`, 1); !strings.Contains(text, "\n"+inOrder(want)+"\n") {
			t.Errorf("no line %s in\n%s", inOrder(want), text)
		}
	}
}

// inOrder puts the labels into the order of the exposition, the alphabet's.
func inOrder(line string) string {
	name, rest, _ := strings.Cut(line, "{")
	labels, value, _ := strings.Cut(rest, "}")
	return name + "{" + strings.Join(slices.Sorted(strings.SplitSeq(labels, ",")), ",") + "}" + value
}

// late is a refusal as the controller makes them.
type late string

func (l late) Error() string  { return "too late: " + string(l) }
func (l late) Reason() string { return string(l) }

// TestLateCallsAreCountedByReason: a call that the final check kept in is told from one that EC2 refused.
func TestLateCallsAreCountedByReason(t *testing.T) {
	m := known()
	for _, err := range []error{fmt.Errorf("associate address: %w: %w", eip.ErrNotPermitted, late("no_evidence")), late("no_evidence")} {
		_, _ = m.MeasureEC2(port{err: err}).Associate(t.Context(), "", true, nil)
	}
	for reason, want := range map[string]float64{"no_evidence": 1, "not_leading": 0} {
		if got := testutil.ToFloat64(m.events.refused.WithLabelValues(reason)); got != want {
			t.Errorf("%v calls were kept in by %s, want %v", got, reason, want)
		}
	}
	if got := testutil.CollectAndCount(m.events.refused); got != len(controller.RefusalWords()) {
		t.Errorf("%d reasons, want those of the final check, %v", got, controller.RefusalWords())
	}
}

// TestStrangersAreNoLabels: whoever sends packets from however many addresses adds nothing to a scrape.
func TestStrangersAreNoLabels(t *testing.T) {
	count := func(strangers int) int {
		a := leader()
		for i := range strangers {
			address := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
			a.traffic.Senders = append(a.traffic.Senders, controller.Sender{Sender: vrrpwire.Sender{Address: address, Adverts: 1}})
		}
		m := known()
		m.Read(a.candidate())
		return strings.Count(scrape(t, m), "\n")
	}
	if quiet, crowded := count(0), count(1000); quiet != crowded {
		t.Errorf("%d lines, with a thousand strangers %d", quiet, crowded)
	}
}

// TestQuorumArithmetic: how many more voters a leader says may fail.
func TestQuorumArithmetic(t *testing.T) {
	tests := []struct {
		voters, reachable []string
		want              int
	}{
		{[]string{"lb-1", "lb-2", "lb-3"}, []string{"lb-2", "lb-3"}, 1},
		{[]string{"lb-1", "lb-2", "lb-3"}, []string{"lb-2"}, 0},
		{[]string{"lb-1", "lb-2", "lb-3"}, nil, -1},
		{[]string{"lb-1", "lb-2", "lb-3", "lb-4"}, []string{"lb-2", "lb-3", "lb-4"}, 1},
		{[]string{"lb-1", "lb-2", "lb-3", "lb-4", "lb-5"}, []string{"lb-2", "lb-3", "lb-4", "lb-5"}, 2},
		{[]string{"lb-1"}, nil, 0},
		{[]string{"lb-2", "lb-3", "lb-4"}, []string{"lb-2", "lb-3"}, 0}, // a leader that is no voter any more
	}
	for _, tt := range tests {
		s := &snapshot{id: Identity{Node: "lb-1"}, reachable: tt.reachable}
		s.raft.Voters = tt.voters
		if got := s.tolerated(); got != tt.want {
			t.Errorf("of %v, %v answer: %d may fail, want %d", tt.voters, tt.reachable, got, tt.want)
		}
	}
}
