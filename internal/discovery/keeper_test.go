package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/hacluster/hacluster/eip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// account is a Finder.
type account struct {
	mu      sync.Mutex
	letters string
	err     error
	reads   int
}

// shows changes what is found from now on.
func (a *account) shows(letters string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.letters, a.err = letters, err
}

func (a *account) Find(context.Context) ([]eip.Instance, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads++
	var found []eip.Instance
	for _, letter := range a.letters {
		found = append(found, instance(string(letter)))
	}
	return found, a.err
}

// roster is a Roster, whose members answer unless they are down.
type roster struct {
	mu            sync.Mutex
	letters, down string
	follows       bool
	refuse        error
	changes       []string
}

func (r *roster) now(change func(*roster)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *roster) Members() ([]Member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var members []Member
	for _, letter := range r.letters {
		name := string(letter)
		members = append(members, Member{Name: nodeName(name), Address: addressOf(name), Voter: true, Reachable: !strings.Contains(r.down, name)})
	}
	return members, !r.follows
}

func (r *roster) Admit(_ context.Context, n Node) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, "admit "+n.Name)
	if r.refuse == nil {
		r.letters += strings.TrimPrefix(n.Name, "i-")
	}
	return r.refuse
}

func (r *roster) Remove(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, "remove "+name)
	if r.refuse == nil {
		r.letters = strings.Replace(r.letters, strings.TrimPrefix(name, "i-"), "", 1)
	}
	return r.refuse
}

// TestOnlyTheLeaderActs, reads EC2 at all, and remembers nothing of an earlier leadership.
func TestOnlyTheLeaderActs(t *testing.T) {
	ec2, members := &account{letters: "acd"}, &roster{letters: "abcd", down: "b", follows: true}
	keep(t, ec2, members, func() {
		time.Sleep(time.Hour)
		members.now(func(r *roster) {
			if len(r.changes) > 0 {
				t.Errorf("a follower: %q", r.changes)
			}
		})
		members.now(func(r *roster) { r.follows = false })
		time.Sleep(4 * time.Minute)
		members.now(func(r *roster) { r.follows = true })
		time.Sleep(time.Minute)
		members.now(func(r *roster) { r.follows = false })
		time.Sleep(4 * time.Minute)
		members.now(func(r *roster) {
			if len(r.changes) > 0 {
				t.Errorf("%q: nobody led for as long as it takes", r.changes)
			}
		})
		time.Sleep(2 * time.Minute)
	})
	if want := []string{"remove i-b"}; !slices.Equal(members.changes, want) {
		t.Errorf("%q, want %q", members.changes, want)
	}
	if ec2.reads > 22 {
		t.Errorf("%d reads in ten minutes of leading: followers read too", ec2.reads)
	}
}

// TestWhatIsRefusedIsTriedAgain, and said once for as long as it is the same.
func TestWhatIsRefusedIsTriedAgain(t *testing.T) {
	ec2, members := &account{letters: "abcd"}, &roster{letters: "abc", refuse: errors.New("a change is on its way")}
	log := keep(t, ec2, members, func() {
		time.Sleep(2*time.Minute + time.Second) // reads at 30s, 60s, 90s, 120s
		members.now(func(r *roster) { r.refuse = nil })
		time.Sleep(30 * time.Second)
		ec2.shows("", errors.New("RequestLimitExceeded"))
		time.Sleep(10 * time.Minute)
	})
	if want := slices.Repeat([]string{"admit i-d"}, 4); !slices.Equal(members.changes, want) {
		t.Errorf("%q, want %q", members.changes, want)
	}
	got := fmt.Sprint(log.FilterMessage("waiting with a member").Len(), log.FilterMessage("admit a node that was found").Len(),
		log.FilterMessage("a new instance may join").Len())
	if want := "2 3 1"; got != want {
		t.Errorf("lines: %s, want %s: %v", got, want, log.All())
	}
}

// keep runs a Keeper in a bubble while meanwhile does.
func keep(t *testing.T, ec2 Finder, members Roster, meanwhile func()) *observer.ObservedLogs {
	t.Helper()
	core, log := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		k := NewKeeper(KeeperConfig{Self: "i-a", Layout: Layout{Port: 7400}, Interval: 30 * time.Second, Stabilisation: 5 * time.Minute,
			Now: func() time.Duration { return time.Since(began) }, Meter: new(Meter)}, ec2, members, zap.New(core))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		meanwhile()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return log
}
