package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/vrrpwire"
)

// voters is the side of Raft and of the peers in a poll. Each peer does what its word says.
type voters struct {
	*world
	words map[string]string
	own   uint64

	mu    sync.Mutex
	hints []string
}

func (v *voters) Voters() []string  { return []string{"node-a", "node-b", "node-c"} }
func (v *voters) LastIndex() uint64 { return v.own }

func (v *voters) Hint(_ context.Context, suspect string, term uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hints = append(v.hints, fmt.Sprintf("%s of term %d", suspect, term))
	return nil
}

func (v *voters) Knock(ctx context.Context, peer string) error {
	switch v.words[peer] {
	case "silent":
		<-ctx.Done()
		return ctx.Err()
	case "gone":
		return fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	}
	return nil
}

func (v *voters) Call(ctx context.Context, peer, _ string, _, out any) error {
	var answer silenceAnswer
	switch word := v.words[peer]; word {
	case "misses":
		answer = silenceAnswer{Misses: true, LastIndex: v.own}
	case "hears":
		answer = silenceAnswer{LastIndex: v.own}
	case "newer":
		answer = silenceAnswer{Misses: true, LastIndex: v.own + 1}
	case "gone":
		return fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	case "busy": // answers within the grace
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	default:
		<-ctx.Done()
		return ctx.Err()
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.NewDecoder(strings.NewReader(string(text))).Decode(out)
}

// TestPoll: a suspicion needs a quorum that shares it, nobody with a newer log, and a suspect that does not answer.
func TestPoll(t *testing.T) {
	tests := []struct {
		name, suspect, other string
		impatient            bool
		want                 error
		takes                time.Duration
	}{
		{"the suspect's machine is dead", "silent", "misses", false, nil, 3 * time.Millisecond},
		{"the suspect's agent is dead", "gone", "misses", false, nil, 0},
		{"the suspect's agent is not scheduled", "stopped", "misses", false, errMachineUp, 3 * time.Millisecond},
		{"the suspect's agent has not been scheduled for too long", "stopped", "misses", true, nil, 3 * time.Millisecond},
		{"the suspect answers", "hears", "misses", true, errSuspectAnswers, 0},
		{"the suspect answers late, but within its grace", "busy", "misses", true, errSuspectAnswers, 2 * time.Millisecond},
		{"the other voter hears it", "silent", "hears", true, errNoQuorumMisses, 0},
		{"the other voter has a newer log", "silent", "newer", true, errNewerLog, 0},
		{"the other voter is dead too", "silent", "gone", true, errNoQuorumMisses, 0},
		{"nobody answers", "silent", "silent", true, context.DeadlineExceeded, pollWithin},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &voters{world: newWorld(), words: map[string]string{"node-b": test.suspect, "node-c": test.other}, own: 7}
				d := NewDriver(testConfig(), Ports{Ballot: v, Peers: v}, v.now, nil)
				began := time.Now()
				e := d.poll(t.Context(), Poll{Term: 2, Suspect: "node-b", Grace: 3 * time.Millisecond, Patient: !test.impatient})
				if err := e.(Polled).Err; !errors.Is(err, test.want) {
					t.Errorf("the poll ended with %v, want %v", err, test.want)
				}
				if took := time.Since(began); took != test.takes {
					t.Errorf("it took %v, want %v", took, test.takes)
				}
			})
		})
	}
}

// TestOnlyAVoterPolls: a node whose vote does not count has no say in whether the leader is dead.
func TestOnlyAVoterPolls(t *testing.T) {
	if _, err := newTally("node-d", "node-b", []string{"node-a", "node-b", "node-c"}, 7); !errors.Is(err, errNoVoter) {
		t.Errorf("a node that does not vote: %v, want %v", err, errNoVoter)
	}
}

// hinting is a driver that follows node-b, whose adverts come every 10 ms from 10.0.0.2.
func hinting(t *testing.T, v *voters) (d *Driver, stop func()) {
	t.Helper()
	cfg := testConfig()
	cfg.Hints = true
	cfg.Configured = []fsm.Attributes{{Name: "node-b", VRRPAddress: "10.0.0.2"}}
	d = v.driverOf(cfg)
	d.ports.Ballot, d.ports.Peers = v, v
	v.members(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	v.leaderships <- election.Leadership{Term: 2, Leader: "node-b"}
	synctest.Wait()
	return d, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func (w *world) advert(priority uint8) vrrpwire.Heard {
	return vrrpwire.Heard{From: netip.MustParseAddr("10.0.0.2"), At: w.now(),
		Advertisement: vrrpwire.Advertisement{Priority: priority, Interval: 10 * time.Millisecond}}
}

// TestSilenceEndsInAHint: the whole way through the driver, with the adverts of a leader that dies.
func TestSilenceEndsInAHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{world: newWorld(), words: map[string]string{"node-b": "silent", "node-c": "misses"}}
		d, stop := hinting(t, v)
		defer stop()
		for range 20 {
			v.heard <- v.advert(100)
			time.Sleep(10 * time.Millisecond)
		}
		if asked := d.View().Hints.Asked; asked != 0 {
			t.Errorf("asked %d times while the leader was heard", asked)
		}
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		v.mu.Lock()
		defer v.mu.Unlock()
		if got := fmt.Sprint(v.hints); got != "[node-b of term 2]" {
			t.Errorf("hints: %s, want one", got)
		}
	})
}

// TestAnUnreadAdvertIsNoSilence: what the kernel has queued while nobody read it is heard before silence is judged.
func TestAnUnreadAdvertIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{world: newWorld(), words: map[string]string{"node-b": "silent", "node-c": "misses"}}
		d, stop := hinting(t, v)
		defer stop()
		v.heard <- v.advert(100)
		for range 10 { // the socket has them, the listener has not run
			time.Sleep(10 * time.Millisecond)
			v.world.mu.Lock()
			v.unread = append(v.unread[:0], v.advert(100))
			v.world.mu.Unlock()
		}
		if asked := d.View().Hints.Asked; asked != 0 {
			t.Errorf("asked %d times, although adverts were waiting in the socket", asked)
		}
	})
}
