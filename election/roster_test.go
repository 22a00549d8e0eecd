package election

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// agreed is a directory for tables.
type agreed struct {
	admitted []Peer
	removed  []string
}

func (a agreed) Admitted() []Peer         { return a.admitted }
func (a agreed) Removed(name string) bool { return slices.Contains(a.removed, name) }

// TestWhoBelongs: node-a, configured with node-b at 10.0.0.2, and what it hears from elsewhere.
func TestWhoBelongs(t *testing.T) {
	t.Parallel()
	server := func(name, address string) raft.Server {
		id := raft.ServerID(name + ".1")
		return raft.Server{ID: id, Address: serverAddress(address, id)}
	}
	b, elsewhere, d := Peer{Name: "node-b", Address: "10.0.0.2:1"}, Peer{Name: "node-b", Address: "10.0.0.9:1"}, Peer{Name: "node-d", Address: "10.0.0.4:1"}
	tests := map[string]struct {
		directory agreed
		servers   []raft.Server
		told      []Peer
		want      []Peer // but node-a
	}{
		"nothing is known yet":                         {agreed{}, nil, nil, []Peer{b}},
		"the directory knows a newer address":          {agreed{admitted: []Peer{elsewhere}}, []raft.Server{server("node-b", b.Address)}, nil, []Peer{elsewhere}},
		"Raft knows one":                               {agreed{}, []raft.Server{server("node-b", elsewhere.Address)}, nil, []Peer{elsewhere}},
		"somebody was let in":                          {agreed{admitted: []Peer{d}}, nil, nil, []Peer{d, b}},
		"a configured node was removed":                {agreed{removed: []string{"node-b"}}, nil, nil, nil},
		"Raft has not removed it yet":                  {agreed{removed: []string{"node-b"}}, []raft.Server{server("node-b", b.Address)}, nil, []Peer{b}},
		"after a restart, Raft's log names the leader": {agreed{}, []raft.Server{server("node-d", d.Address)}, nil, []Peer{d, b}},
		"the log is old, but others know the leader":   {agreed{}, nil, []Peer{d, elsewhere}, []Peer{b, d}},
		"what is told does not count against the rest": {agreed{removed: []string{"node-d"}}, nil, []Peer{d}, []Peer{b}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Hour
			cfg := Config{Name: "node-a", Peers: []Peer{{Name: "node-a", Address: "10.0.0.1:1"}, b}, Directory: test.directory, Now: func() time.Duration { return now }}
			r := newRoster(cfg, func() []raft.Server { return test.servers })
			if test.told != nil {
				r.tell(test.told)
			}
			if got := r.others(); !slices.Equal(got, test.want) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if !r.isMember("node-a") || r.isMember("node-x") {
				t.Error("node-a is no member, or node-x is one")
			}
			now += toldFor
			if got := r.isMember("node-d"); got && test.told != nil {
				t.Error("node-d was told of long ago and counts")
			}
		})
	}
}

// TestWhatARemovalLeaves and what a promotion takes: who votes, and who of them answers.
func TestQuorumsOfAMembershipChange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		voters, silent string
		remove         string
		removal        string // what the refusal says, "" if there is none
		promotion      string
	}{
		{"abc", "", "b", "", ""},
		{"abc", "b", "b", "", "quorum is 3, and b does not answer"},
		{"abc", "c", "b", "would leave 1 of 2 voters alive, and 2 are needed: c does not answer", "quorum is 3, and c does not answer"},
		{"abcde", "", "e", "", ""},
		{"abcde", "e", "d", "", ""},
		{"abcde", "de", "e", "", "quorum is 4, and d and e do not answer"},
		{"abcde", "de", "c", "would leave 2 of 4 voters alive, and 3 are needed: d and e do not answer", "quorum is 4"},
		{"abcd", "d", "c", "", ""},
		{"ab", "", "b", "", ""},
		{"ab", "b", "b", "", "quorum is 2, and b does not answer"},
		{"a", "", "a", "a is the only voter", ""}, // it may be joined, though the quorum then depends on both
		{"a", "", "x", "", ""},                    // no voter
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s, silent %q", test.voters, test.silent), func(t *testing.T) {
			var c census
			for _, v := range test.voters {
				c.voters = append(c.voters, raft.ServerID(string(v)+".1"))
			}
			c.alive = func(id raft.ServerID) bool { return !slices.Contains([]byte(test.silent), id[0]) }
			for what, check := range map[string]struct {
				err  error
				want string
			}{"removal of " + test.remove: {c.removal(test.remove), test.removal}, "promotion": {c.promotion(), test.promotion}} {
				switch {
				case check.want == "" && check.err != nil:
					t.Errorf("%s: %v", what, check.err)
				case check.want != "":
					expectSentence(t, check.err, check.want)
				}
			}
		})
	}
}

// TestAJoinerIsStable when it has applied, at each call for two seconds, what was committed at the call before, however fast the log grows.
func TestAJoinerIsStable(t *testing.T) {
	t.Parallel()
	type call struct {
		at              time.Duration
		applied, commit uint64
		vote            bool
	}
	tests := map[string][]call{
		"a quiet cluster":           {{0, 0, 10, false}, {time.Second, 10, 10, false}, {2 * time.Second, 10, 10, true}},
		"a busy cluster":            {{0, 0, 10, false}, {time.Second, 12, 20, false}, {2 * time.Second, 25, 30, true}},
		"never at the first call":   {{0, 10, 10, false}},
		"lagging once":              {{0, 0, 100, false}, {time.Second, 40, 110, false}, {2 * time.Second, 115, 120, false}, {3 * time.Second, 120, 130, true}},
		"away for a while":          {{0, 10, 10, false}, {time.Second, 10, 10, false}, {4 * time.Second, 10, 10, false}, {6 * time.Second, 10, 10, true}},
		"falling behind at the end": {{0, 10, 10, false}, {time.Second, 10, 50, false}, {2 * time.Second, 20, 50, false}},
	}
	for name, calls := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAdmission()
			for i, c := range calls {
				if got := a.stable(joinRequest{ServerID: "node-c.1", Applied: c.applied}, c.commit, time.Hour+c.at); got != c.vote {
					t.Errorf("call %d: stable %v, want %v", i+1, got, c.vote)
				}
			}
		})
	}
}

// TestARosterIsBounded: a member may tell of as many nodes as it likes, again and again. Each would be asked in turn, and looked through at each
// handshake.
func TestARosterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Hour
	cfg := Config{Name: "node-a", Peers: []Peer{{Name: "node-a", Address: "10.0.0.1:1"}}, Now: func() time.Duration { return now }}
	r := newRoster(cfg, func() []raft.Server { return nil })
	for round := range 20 {
		var peers []Peer
		for i := range 1000 {
			peers = append(peers, Peer{Name: fmt.Sprintf("made-up-%d-%d", round, i), Address: "10.9.9.9:1"})
		}
		r.tell(peers)
		now += toldFor / 2
	}
	if got := len(r.others()); got > maxTold {
		t.Errorf("%d nodes are known by hearsay, want no more than %d", got, maxTold)
	}
	r.tell([]Peer{{Name: "node-b", Address: "10.0.0.2:1"}})
	if !r.isMember("node-b") {
		t.Error("what is told after that is not believed")
	}
}
