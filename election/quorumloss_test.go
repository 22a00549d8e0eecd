package election

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// recoverAlone does what `hacluster recover` does, and returns the backup.
func recoverAlone(t *testing.T, cfg Config) (backup string) {
	t.Helper()
	r, err := OpenRecovery(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	state := replayed(t, r)
	if backup, err = r.Commit(state); err != nil {
		t.Fatal(err)
	}
	return backup
}

func replayed(t *testing.T, r *Recovery) []byte {
	t.Helper()
	var l ledger
	if err := r.Replay(&l); err != nil {
		t.Fatal(err)
	}
	state, err := l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// destroy loses everything that the nodes had.
func (c *cluster) destroy(names ...string) {
	c.t.Helper()
	for _, name := range names {
		for _, path := range []string{"raft", markerName} {
			if err := os.RemoveAll(filepath.Join(c.config(name).DataDir, path)); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// TestOneOfThreeGoesOnAlone: two disks of three are destroyed. The third goes on with all that it knew, and the two come back empty.
func TestOneOfThreeGoesOnAlone(t *testing.T) {
	for name, snapshots := range map[string]Snapshots{
		"from a log":                {},
		"from a snapshot and a log": {Threshold: 4, Trailing: 2, Interval: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3, func(cfg *Config) { cfg.Snapshots = snapshots })
			c.start()
			var want []string
			for i := range 20 {
				want = append(want, fmt.Sprint("before ", i))
				c.apply(want[i])
			}
			c.expectEverywhere(want...)
			was := c.nodes["node-a"].Status()
			c.stop()
			c.destroy("node-b", "node-c")
			recoverAlone(t, c.config("node-a"))
			c.start("node-a")
			c.apply("alone")
			want = append(want, "alone")
			c.expectEverywhere(want...)
			is := c.nodes["node-a"].Status()
			if !slices.Equal(is.Voters, []string{"node-a"}) || is.Incarnation == was.Incarnation || is.Generation == "" || is.Term <= was.Term {
				t.Errorf("status before: %+v, after: %+v", was, is)
			}
			c.start("node-b", "node-c")
			eventually(t, "three voters", func() error {
				if s := c.nodes["node-a"].Status(); len(s.Voters) != 3 {
					return fmt.Errorf("voters %v; node-b: %s", s.Voters, c.nodes["node-b"].Status().Phase)
				}
				return nil
			})
			c.apply("together")
			c.expectEverywhere(append(want, "together")...)
			c.stop()
			c.start() // each of them knows its generation after a restart
			c.expectEverywhere(append(want, "together")...)
		})
	}
}

// TestACrashInTheMiddleOfARecovery leaves the old store or the new one, never neither, and never one that the node refuses.
func TestACrashInTheMiddleOfARecovery(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	c.apply("before")
	c.expectEverywhere("before")
	c.stop()
	cfg := c.config("node-a")
	for done, name := range []string{"before the backup", "behind the backup", "behind the snapshot", "behind the switch", "behind the marker"} {
		t.Run(name, func(t *testing.T) {
			crashed := cfg
			crashed.DataDir = filepath.Join(t.TempDir(), "data")
			if err := copyDurably(cfg.DataDir, crashed.DataDir); err != nil {
				t.Fatal(err)
			}
			r, err := OpenRecovery(crashed)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range r.commit(replayed(t, r)).steps()[:done] {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			voters := []string{"node-a", "node-b", "node-c"}
			if done >= 3 {
				voters = []string{"node-a"}
			}
			expectVoters(t, crashed, voters...) // as the agent would start
			recoverAlone(t, crashed)            // and whoever tries again gets there
			expectVoters(t, crashed, "node-a")
		})
	}
}

// expectVoters opens the data dir as an agent does, and says who votes in it.
func expectVoters(t *testing.T, cfg Config, want ...string) {
	t.Helper()
	n, err := Open(cfg, &ledger{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.origin != resumed {
		t.Errorf("the node does not know its past: %v", n.origin)
	}
	members, err := n.store.members()
	if err != nil {
		t.Fatal(err)
	}
	if got := (&Recovery{members: members}).Voters(); !slices.Equal(got, want) {
		t.Errorf("voters %v, want %v", got, want)
	}
}

// TestTheOldQuorumIsLeftBehind: two old nodes of three are a quorum of what the cluster was. Once they hear of the recovered one they end.
func TestTheOldQuorumIsLeftBehind(t *testing.T) {
	remedy := []string{"was recovered", "goes on with node node-a", "move the directory", "comes back as a new member"}
	t.Run("they come back and meet it", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, 3)
		c.start()
		c.apply("before")
		c.expectEverywhere("before")
		c.stop()
		recoverAlone(t, c.config("node-a"))
		c.start("node-a")
		c.leader()
		c.start("node-b", "node-c")
		for _, name := range []string{"node-b", "node-c"} {
			expectSentence(t, c.nodes[name].failure(t), remedy...)
			if s := c.nodes[name].Status(); s.State != "Starting" {
				t.Errorf("%s voted: %+v", name, s)
			}
			delete(c.nodes, name)
			remove(t, filepath.Join(c.config(name).DataDir, "raft")) // the remedy
		}
		c.start("node-b", "node-c")
		c.apply("after")
		c.expectEverywhere("before", "after")
	})
	t.Run("they run when it comes", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, 3)
		c.start()
		c.apply("before")
		c.expectEverywhere("before")
		c.stop()
		recoverAlone(t, c.config("node-a"))
		c.start("node-b", "node-c")
		c.apply("the old quorum decides: this is what docs/RECOVERY.md warns of")
		c.start("node-a")
		for _, name := range []string{"node-b", "node-c"} {
			expectSentence(t, c.nodes[name].failure(t), remedy...)
		}
		eventually(t, "the recovered node leads", func() error {
			if s := c.nodes["node-a"].Status(); s.State != "Leader" {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
		if got := c.nodes["node-a"].ledger.list(); !slices.Equal(got, []string{"before"}) {
			t.Errorf("the recovered node took over %q", got)
		}
	})
}

// TestAStoreOfBeforeTheRecoveryIsRefused: the backup beside the store is for reading, not for going back.
func TestAStoreOfBeforeTheRecoveryIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	c.apply("before")
	c.stop()
	cfg := c.config("node-a")
	backup := recoverAlone(t, cfg)
	remove(t, filepath.Join(cfg.DataDir, "raft"))
	if err := os.Rename(backup, filepath.Join(cfg.DataDir, "raft")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(cfg, &ledger{})
	expectSentence(t, err, "put back from a backup")
}

// TestGenerationsRefuseEachOthersCalls, but tell each other who they are.
func TestGenerationsRefuseEachOthersCalls(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	n, err := Open(c.config("node-a"), &ledger{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.bind("a1"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path   string
		theirs string
		want   int
	}{
		{identityPath, "", http.StatusOK},
		{identityPath, "a1", http.StatusOK},
		{joinPath, "a1", http.StatusBadRequest}, // it is served, and found to be empty
		{joinPath, "", http.StatusConflict},
		{joinPath, "a1/b2", http.StatusConflict},
		{joinPath, "c3", http.StatusConflict},
	} {
		request := httptest.NewRequest(http.MethodPost, "http://node-a"+test.path, http.NoBody)
		request.Header.Set(clusterHeader, "test")
		request.Header.Set(generationHeader, test.theirs)
		answer := httptest.NewRecorder()
		n.rpcHandler().ServeHTTP(answer, request)
		if answer.Code != test.want {
			t.Errorf("%s from generation %q: %d %s, want %d", test.path, test.theirs, answer.Code, answer.Body, test.want)
		}
	}
}

func TestWhichGenerationIsTheNewest(t *testing.T) {
	t.Parallel()
	type answers map[string]generation
	for name, test := range map[string]struct {
		answers answers
		want    generation
		forked  bool
	}{
		"never recovered":           {answers{"node-b": "", "node-c": ""}, "", false},
		"one was left behind":       {answers{"node-b": "a1", "node-c": ""}, "a1", false},
		"the other order":           {answers{"node-b": "", "node-c": "a1"}, "a1", false},
		"recovered twice":           {answers{"node-b": "a1", "node-c": "a1/b2"}, "a1/b2", false},
		"recovered on two of them":  {answers{"node-b": "a1", "node-c": "b2"}, "", true},
		"and once more on one":      {answers{"node-b": "a1/c3", "node-c": "b2"}, "", true},
		"ids that begin alike":      {answers{"node-b": "a1", "node-c": "a12"}, "", true},
		"recovered on two, and old": {answers{"node-a": "", "node-b": "a1", "node-c": "b2"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(map[string]identityAnswer)
			for node, g := range test.answers {
				told[node] = identityAnswer{identity: identity{Generation: g}, Members: []raft.ServerID{"x.1"}}
			}
			told["node-z"] = identityAnswer{identity: identity{Generation: "ffff"}} // belongs to no cluster
			got, known, forked := newest(told)
			if !known || got != test.want || (forked != "") != test.forked {
				t.Errorf("newest = %q, known %v, forked %q; want %q, forked %v", got, known, forked, test.want, test.forked)
			}
			if got, err := decide(Config{Name: "node-x", Peers: []Peer{{Name: "node-x"}}}, returning, told, nil); err != nil ||
				(got.next == startNow) == test.forked || got.next == bootstrapNow {
				t.Errorf("decide = %+v, %v", got, err)
			}
		})
	}
}

// TestWhoHasLeftWhom: a node that was left behind itself is no reason not to recover once more.
func TestWhoHasLeftWhom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		own, theirs generation
		want        bool
	}{{"", "", false}, {"", "a1", true}, {"a1", "a1", false}, {"a1", "", false}, {"a1", "a1/b2", true}, {"a1", "c3", true}} {
		answer := identityAnswer{identity: identity{Generation: test.theirs}, Members: []raft.ServerID{"node-b.1"}}
		if got := answer.hasLeft(test.own); got != test.want {
			t.Errorf("%q has left %q: %v, want %v", test.theirs, test.own, got, test.want)
		}
		answer.Members = nil
		if answer.hasLeft(test.own) {
			t.Errorf("a node without a cluster (%q) has left %q", test.theirs, test.own)
		}
	}
}

// TestANodeWithoutMemoryNeverBootstraps, whatever the others say or do not say.
func TestANodeWithoutMemoryNeverBootstraps(t *testing.T) {
	t.Parallel()
	peers := []Peer{{Name: "node-a", Address: "10.0.0.1:1"}, {Name: "node-b", Address: "10.0.0.2:1"}}
	agrees := identityAnswer{Peers: []string{"node-a", "node-b"}}
	for name, cfg := range map[string]Config{"alone": {Name: "node-a", Peers: peers[:1]}, "of two": {Name: "node-a", Peers: peers}} {
		got, err := decide(cfg, returning, map[string]identityAnswer{"node-b": agrees}, nil)
		if err != nil || got.next != keepWaiting || len(got.waiting) == 0 {
			t.Errorf("%s: decide = %+v, %v", name, got, err)
		}
	}
}

func TestObjectionsToARecovery(t *testing.T) {
	t.Parallel()
	own := Position{Term: 7, Index: 100}
	voter := func(name string, term, index uint64) Survivor {
		return Survivor{Name: name, Voter: true, Last: Position{Term: term, Index: index}}
	}
	for name, test := range map[string]struct {
		voters string
		survey []Survivor
		want   []string
	}{
		"nobody answers":                   {"abc", []Survivor{{Name: "node-b", Silent: "no answer"}}, nil},
		"one of two others lives":          {"abc", []Survivor{voter("node-b", 7, 90)}, []string{"not lost", "node-a, node-b are 2 of 3"}},
		"one of four others, and older":    {"abcde", []Survivor{voter("node-b", 7, 99)}, nil},
		"one of four others, and equal":    {"abcde", []Survivor{voter("node-b", 7, 100)}, nil},
		"one of four others knows more":    {"abcde", []Survivor{voter("node-b", 7, 101)}, []string{"node-b knows more", "entry 101 of term 7", "recover there"}},
		"a shorter log of a later term":    {"abcde", []Survivor{voter("node-b", 8, 90)}, []string{"node-b knows more"}},
		"the best of several is named":     {"abcdefg", []Survivor{voter("node-b", 7, 101), voter("node-c", 7, 103)}, []string{"node-c knows more"}},
		"it was done already":              {"a", []Survivor{{Name: "node-b", Silent: "no answer"}}, []string{"node-a is the only voter already", "start the agent"}},
		"an empty node is no survivor":     {"abc", []Survivor{{Name: "node-b"}, {Name: "node-c"}}, nil},
		"somebody recovered already":       {"abc", []Survivor{{Name: "node-b", LeftUs: true}}, []string{"recovered already", "node-b"}},
		"a node without a vote survives":   {"bcd", []Survivor{voter("node-b", 7, 100)}, nil},
		"it, and a quorum":                 {"bcd", []Survivor{voter("node-b", 7, 9), voter("node-c", 7, 9)}, []string{"not lost", "node-b, node-c are 2 of 3"}},
		"a later member knows more":        {"abc", []Survivor{{Name: "node-d", Member: true, Last: Position{Term: 7, Index: 101}}}, []string{"node-d knows more", "recover there"}},
		"a later member knows less":        {"abc", []Survivor{{Name: "node-d", Member: true, Last: Position{Term: 7, Index: 99}}}, nil},
		"a later member leads":             {"abc", []Survivor{{Name: "node-d", Member: true, Leads: true, Last: Position{Term: 7, Index: 101}}}, []string{"not lost", "node-d leads"}},
		"what a stranger's log says is no": {"abcde", []Survivor{{Name: "node-b", Last: Position{Term: 9, Index: 900}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var voters []string
			for _, letter := range test.voters {
				voters = append(voters, "node-"+string(letter))
			}
			err := object("node-a", own, voters, test.survey)
			if len(test.want) == 0 {
				if err != nil {
					t.Errorf("objects: %v", err)
				}
				return
			}
			expectSentence(t, err, test.want...)
		})
	}
}

// TestTheOthersAreAskedFirst, over the same port and with the same proof of who they are as between agents.
func TestTheOthersAreAskedFirst(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 5)
	c.start()
	c.apply("before")
	c.expectEverywhere("before")
	c.stop("node-a")
	c.apply("node-a never hears of this")
	c.expectEverywhere("before", "node-a never hears of this")
	c.stop("node-c", "node-d", "node-e")
	r, err := OpenRecovery(c.config("node-a"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	survey := r.Survey(t.Context())
	if len(survey) != 4 || survey[0].Name != "node-b" || !survey[0].Voter || survey[0].Silent != "" || survey[1].Silent != "connection refused" {
		t.Errorf("survey: %+v", survey)
	}
	expectSentence(t, r.Object(survey), "node-b knows more", "recover there")
	if got := r.Voters(); len(got) != 5 {
		t.Errorf("voters %v", got)
	}
	c.start("node-c", "node-d")
	c.leader()
	expectSentence(t, r.Object(r.Survey(t.Context())), "the quorum is not lost", "4 of 5")
}

// TestWhoHasJoinedMeanwhileIsAskedToo: a node that was away knows neither the newcomer, nor that the newcomer knows more.
func TestWhoHasJoinedMeanwhileIsAskedToo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	c.apply("before")
	c.expectEverywhere("before")
	c.nodes["node-b"].lead(t)
	c.stop("node-a")
	address := freeAddresses(t, 1)[0]
	c.admit("node-d", address)
	c.newcomer("node-d", address, "node-b").expectPhase(t, "joining", "node-a does not answer")
	c.stop("node-c")
	r, err := OpenRecovery(c.config("node-a"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	survey := r.Survey(t.Context())
	if len(survey) != 3 || survey[2].Name != "node-d" || survey[2].Address != address || !survey[2].Member || survey[2].Voter {
		t.Errorf("survey: %+v", survey)
	}
}

// TestAClusterThatWentOnWithOthersIsNotLost: a node was removed while it was away, and all that it knew of were replaced. What it takes for the
// loss of the quorum is its own removal; to recover it would end the agents of a cluster that is well.
func TestAClusterThatWentOnWithOthersIsNotLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	c.apply("before")
	c.expectEverywhere("before")
	c.nodes["node-b"].lead(t)
	c.stop("node-a")
	c.remove("node-a")
	address := freeAddresses(t, 1)[0]
	c.admit("node-d", address)
	c.newcomer("node-d", address, "node-b")
	c.expectVoters("node-b", "node-c", "node-d")
	c.nodes["node-d"].lead(t)
	for _, name := range []string{"node-b", "node-c"} {
		c.remove(name)
		c.ends(name)
	}
	c.expectVoters("node-d")

	away := c.config("node-a")
	away.Peers = append(slices.Clone(away.Peers), Peer{Name: "node-d", Address: address}) // as the configuration has it by now, or EC2
	r, err := OpenRecovery(away)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	expectSentence(t, r.Object(r.Survey(t.Context())), "the quorum is not lost", "node-d leads")
}

func TestNothingToRecoverFrom(t *testing.T) {
	t.Parallel()
	t.Run("an empty data dir", func(t *testing.T) {
		cfg := newCluster(t, 3).config("node-a")
		_, err := OpenRecovery(cfg)
		expectSentence(t, err, "nothing to recover from on this node")
		if entries, err := os.ReadDir(cfg.DataDir); err != nil || len(entries) > 0 {
			t.Errorf("it left %v behind, %v", entries, err)
		}
	})
	t.Run("the agent runs", func(t *testing.T) {
		c := newCluster(t, 3)
		c.start()
		c.leader()
		_, err := OpenRecovery(c.config("node-a"))
		expectSentence(t, err, "is another agent running on this data dir? stop it first")
	})
	t.Run("a node that never joined", func(t *testing.T) {
		c := newCluster(t, 3)
		c.start("node-a")
		c.nodes["node-a"].expectPhase(t, "waiting for")
		c.stop()
		_, err := OpenRecovery(c.config("node-a"))
		expectSentence(t, err, "has no log", "nothing to recover from on this node")
	})
	t.Run("somebody else's data dir", func(t *testing.T) {
		needRoot(t)
		c := newCluster(t, 3)
		c.start()
		c.leader()
		c.stop()
		cfg := c.config("node-a")
		if err := os.Chown(filepath.Join(cfg.DataDir, "raft", "raft.db"), 65534, -1); err != nil {
			t.Fatal(err)
		}
		_, err := OpenRecovery(cfg)
		expectSentence(t, err, "belongs to the user with id 65534", "runuser -u nobody -- ")
	})
}

// TestABackupThatFailsChangesNothing: it comes first.
func TestABackupThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	c.leader()
	c.stop()
	cfg := c.config("node-a")
	r, err := OpenRecovery(cfg)
	if err != nil {
		t.Fatal(err)
	}
	commit := r.commit(replayed(t, r))
	commit.backup = filepath.Join(cfg.DataDir, "no such directory", "raft.before")
	if err := commit.steps()[0](); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	expectVoters(t, cfg, "node-a", "node-b", "node-c")
}
