package discovery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
)

// scoutOf is node a, with a data dir of its own.
func scoutOf(t *testing.T, ec2 Finder) Scout {
	return Scout{Self: func(context.Context) (string, error) { return "i-a", nil }, Finder: ec2, Layout: Layout{Port: 7400}, DataDir: t.TempDir(),
		Interval: 10 * time.Second, Log: zap.NewNop()}
}

// TestAPlaceIsWaitedFor: at the first start, until EC2 shows this instance.
func TestAPlaceIsWaitedFor(t *testing.T) {
	ec2 := &account{err: errors.New("no route to host")}
	s := scoutOf(t, ec2)
	synctest.Test(t, func(t *testing.T) {
		found := make(chan Place, 1)
		go func() {
			place, err := s.Find(t.Context())
			if err != nil {
				t.Error(err)
			}
			found <- place
		}()
		time.Sleep(time.Minute)
		ec2.shows("bc", nil)
		time.Sleep(time.Minute)
		select {
		case place := <-found:
			t.Fatalf("found %+v, of which this instance is none", place)
		default:
		}
		ec2.shows("bac", nil)
		if place := <-found; place.Self != "i-a" || names(place.Nodes) != "i-a, i-b, i-c" {
			t.Errorf("found %+v", place)
		}
	})
}

// TestAKnownPlaceNeedsNoEC2: a vote must not depend on it.
func TestAKnownPlaceNeedsNoEC2(t *testing.T) {
	s := scoutOf(t, &account{letters: "abc"})
	if _, err := s.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Scout){
		"EC2 is away":          func(s *Scout) { s.Finder = &account{err: errors.New("no route to host")} },
		"EC2 hangs":            func(s *Scout) { s.Finder = hanging{} },
		"EC2 does not show it": func(s *Scout) { s.Finder = &account{letters: "bc"} },
		"the metadata is away": func(s *Scout) { s.Self = func(context.Context) (string, error) { return "", errors.New("no route") } },
	} {
		again := s
		change(&again)
		synctest.Test(t, func(t *testing.T) {
			place, err := again.Find(t.Context())
			if err != nil || names(place.Nodes) != "i-a, i-b, i-c" {
				t.Errorf("%s: %+v, %v", name, place, err)
			}
		})
	}
}

// TestACopyOfADiskIsRefused, whatever EC2 says: two instances would vote with one memory.
func TestACopyOfADiskIsRefused(t *testing.T) {
	s := scoutOf(t, &account{letters: "abc"})
	if _, err := s.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Self = func(context.Context) (string, error) { return "i-b", nil }
	for name, ec2 := range map[string]*account{
		"EC2 shows both":       {letters: "abc"},
		"EC2 does not show it": {letters: "ac"},
		"EC2 is away":          {err: errors.New("no route to host")},
	} {
		s.Finder = ec2
		_, err := s.Find(t.Context())
		if err == nil || !strings.Contains(err.Error(), "belongs to instance i-a, but this is i-b") || !strings.Contains(err.Error(), "move the directory away") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestAFullDiskKeepsNoMemberFromItsVote: what was found is only written down for later.
func TestAFullDiskKeepsNoMemberFromItsVote(t *testing.T) {
	ec2 := &account{letters: "abc"}
	s := scoutOf(t, ec2)
	if _, err := s.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.DataDir, placeFile+".tmp"), 0o700); err != nil { // nor can anything be written here
		t.Fatal(err)
	}
	for letters, want := range map[string]string{"abc": "i-a, i-b, i-c", "abcd": "i-a, i-b, i-c, i-d"} {
		ec2.shows(letters, nil)
		if place, err := s.Find(t.Context()); err != nil || names(place.Nodes) != want {
			t.Errorf("%+v, %v", place, err)
		}
	}
}

// TestADamagedPlaceIsLookedForAgain.
func TestADamagedPlaceIsLookedForAgain(t *testing.T) {
	s := scoutOf(t, &account{letters: "abc"})
	if err := os.WriteFile(filepath.Join(s.DataDir, placeFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	place, err := s.Find(t.Context())
	if err != nil || place.Self != "i-a" {
		t.Errorf("%+v, %v", place, err)
	}
}

// TestTheScoutEndsAnAgentThatWaitsForTheWrongNodes, and no other.
func TestTheScoutEndsAnAgentThatWaitsForTheWrongNodes(t *testing.T) {
	for name, test := range map[string]struct {
		then    string // what EC2 shows
		err     error
		settled bool
		want    error
	}{
		"another instance":            {"abcd", nil, false, ErrMoved},
		"one less":                    {"ab", nil, false, ErrMoved},
		"the same":                    {"cba", nil, false, nil},
		"EC2 is away":                 {"", errors.New("no route to host"), false, nil},
		"it does not show this one":   {"bc", nil, false, nil},
		"the node has found its way":  {"abcd", nil, true, nil},
		"nothing is shown, and waits": {"", nil, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ec2 := &account{letters: "abc"}
			s := scoutOf(t, ec2)
			place, err := s.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ec2.shows(test.then, test.err)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := s.Run(ctx, place, func() bool { return test.settled }); !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
			})
		})
	}
}

// hanging never answers.
type hanging struct{}

func (hanging) Find(ctx context.Context) ([]eip.Instance, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
