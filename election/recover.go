package election

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/raft"
)

// Recovery is a stopped node that may go on alone, because the quorum of its cluster is lost for good (docs/RECOVERY.md). As long as it is
// open no agent can run on the data dir.
//
// It follows hashicorp/raft's RecoverCluster: every entry in the log counts as committed, and a snapshot of what they come to replaces
// the log, with a configuration that names this node alone. In addition the node gets a new incarnation, so that whoever dials the old one
// meets nobody, and the cluster a new generation.
type Recovery struct {
	node    *Node // never run; it asks peers
	members raft.Configuration
	last    Position
}

// Position is where a log ends.
type Position struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
}

// String returns it for people.
func (p Position) String() string { return fmt.Sprintf("entry %d of term %d", p.Index, p.Term) }

// compare orders logs by how much they know, as voters do (Raft's paper, section 5.4.1).
func (p Position) compare(other Position) int {
	return cmp.Or(cmp.Compare(p.Term, other.Term), cmp.Compare(p.Index, other.Index))
}

// OpenRecovery opens the data dir of a stopped node, as Open does, but neither listens nor makes anything new. Its errors are sentences for
// the operator.
func OpenRecovery(cfg Config) (*Recovery, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := checkOwner(cfg.DataDir); err != nil {
		return nil, err
	}
	s, err := openStore(cfg.DataDir, raftLogger(cfg.Logger))
	if err != nil {
		return nil, err
	}
	r, err := openRecovery(cfg, s)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return r, nil
}

// checkOwner refuses what would leave files behind that the agent may not read.
func checkOwner(dataDir string) error {
	path := filepath.Join(dataDir, storeDir, storeName)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s: there is nothing to recover from on this node", path)
	case err != nil:
		return dirError("find", path, err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user with id %d: run this command as that user (%s), or the agent cannot read the result",
			path, owner.Uid, asUser(owner.Uid))
	}
	return nil
}

// asUser is how root runs a command as a user. runuser is on every machine, and wants the name.
func asUser(id uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(id), 10)); err == nil {
		return "runuser -u " + u.Username + " -- ..."
	}
	return fmt.Sprintf("sudo -u '#%d' ...", id)
}

func openRecovery(cfg Config, s *store) (*Recovery, error) {
	if past, err := s.bootstrapped(); err != nil || !past {
		return nil, errors.Join(err, fmt.Errorf("%s has no log: there is nothing to recover from on this node", s.path))
	}
	own, past, err := identify(cfg, s)
	switch {
	case err != nil:
		return nil, err
	case past != resumed:
		return nil, fmt.Errorf("%s is not the store that this node had last: there is nothing to recover from on this node", s.path)
	}
	r := &Recovery{node: newNode(cfg, nil)}
	if r.last, err = s.end(); err != nil {
		return nil, err
	}
	if r.members, err = s.members(); err != nil {
		return nil, err
	}
	r.node.store, r.node.self, r.node.origin = s, own, past
	r.node.client = newClient(r.node.roster.peer, newMux(cfg).dial)
	return r, nil
}

// Close releases the data dir.
func (r *Recovery) Close() error {
	r.node.client.CloseIdleConnections()
	return r.node.store.close()
}

// Last returns where the node's log ends.
func (r *Recovery) Last() Position { return r.last }

// Generation names the recoveries so far; "" is none.
func (r *Recovery) Generation() string { return string(r.node.self.Generation) }

// Voters returns the sorted names of the nodes that voted, as far as this one knows.
func (r *Recovery) Voters() []string {
	var names []string
	for _, server := range r.members.Servers {
		if server.Suffrage == raft.Voter {
			names = append(names, nodeName(server.ID))
		}
	}
	slices.Sort(names)
	return names
}

// Replay applies the snapshot and the whole log to an empty state machine, entries that were never committed included.
func (r *Recovery) Replay(sm StateMachine) error {
	s, m := r.node.store, &machine{StateMachine: sm, end: func(error) {}}
	h, err := s.bolt.header()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	if id := h.Snapshot.ID; id != "" {
		_, state, err := s.snapshots.Open(id)
		if err != nil {
			return fmt.Errorf("open snapshot %s: %w", id, err)
		}
		defer state.Close()
		if err := m.Restore(state); err != nil {
			return err
		}
	}
	return s.eachEntry(h.Snapshot.Index+1, func(entry *raft.Log) error {
		if entry.Type == raft.LogCommand {
			m.Apply(entry)
		}
		return m.refused // by a build that is too old to read it
	})
}

// Survivor is what another node said when it was asked.
type Survivor struct {
	Name, Address string
	// Silent says why it did not answer; "" if it did, and only then the rest is known.
	Silent string
	Last   Position
	// Voter: it is one of the voters that this node knows, and has its memory.
	Voter bool
	// Member: it belongs to the cluster by its own word, perhaps since this node was here last. Leads: and leads it.
	Member, Leads bool
	// LeftUs: it belongs to a cluster that was recovered without this node.
	LeftUs bool
}

// Survey asks the other nodes, whose agents must run to answer, and then those of whom only the answers tell.
func (r *Recovery) Survey(ctx context.Context) []Survivor {
	r.node.roster.tell(peersOf(r.members.Servers)) // it forgets in time, and some may have joined since the configuration was written
	var all []Survivor
	for {
		others := slices.DeleteFunc(r.node.roster.others(), func(p Peer) bool {
			return slices.ContainsFunc(all, func(s Survivor) bool { return s.Name == p.Name })
		})
		if len(others) == 0 {
			return all
		}
		answers, silent := r.node.askAll(ctx, others)
		for _, p := range others {
			s := Survivor{Name: p.Name, Address: p.Address}
			if answer, ok := answers[p.Name]; ok {
				r.note(&s, answer)
			} else {
				s.Silent = Reason(silent[p.Name])
			}
			all = append(all, s)
		}
	}
}

// note takes down an answer.
func (r *Recovery) note(s *Survivor, answer identityAnswer) {
	own, id := r.node.self.Generation, answer.serverID()
	s.Last, s.LeftUs = answer.Last, answer.hasLeft(own)
	s.Voter = slices.ContainsFunc(r.members.Servers, func(m raft.Server) bool { return m.Suffrage == raft.Voter && m.ID == id })
	s.Member = answer.Generation == own && slices.Contains(answer.Members, id)
	s.Leads = s.Member && answer.Leading
}

// Object says why recovery on this node would be wrong as far as those who answered know; nil if nothing speaks against it.
func (r *Recovery) Object(survey []Survivor) error {
	return object(r.node.self.Node, r.last, r.Voters(), survey)
}

func object(self string, last Position, voters []string, survey []Survivor) error {
	var alive []string
	if slices.Contains(voters, self) { // it may be one that has no vote yet, and has the log all the same
		alive = append(alive, self)
	}
	best, bestName, leader := last, "", ""
	for _, s := range survey {
		if s.Leads && !s.Voter { // the voters that this node knows are counted; one of them may lead for a moment after the others have died
			leader = s.Name
		}
		switch {
		case s.LeftUs:
			return fmt.Errorf("the cluster was recovered already, on %s or with it: move the raft directory of this node away and start it; "+
				"it comes back as a new member", s.Name)
		case s.Voter:
			alive = append(alive, s.Name)
		}
		if (s.Voter || s.Member) && s.Last.compare(best) > 0 {
			best, bestName = s.Last, s.Name
		}
	}
	switch {
	case slices.Equal(voters, []string{self}):
		return fmt.Errorf("%s is the only voter already: start the agent here, and then the others", self)
	case len(alive) > len(voters)/2:
		return fmt.Errorf("the quorum is not lost: %s are %d of %d voters: start the agent here, and wait for a leader",
			strings.Join(alive, ", "), len(alive), len(voters))
	case leader != "":
		return fmt.Errorf("the quorum is not lost: %s leads, with voters of whom this node does not know: start the agent here, which says "+
			"whether the node was removed meanwhile", leader)
	case bestName != "":
		return fmt.Errorf("%s knows more: its log ends at %v, that of this node at %v: recover there", bestName, best, last)
	}
	return nil
}

// Commit makes this node the only voter of a cluster that begins with state, which is Replay's, prepared for it. It returns the directory
// that the store was copied to before anything was changed. A crash leaves either the old store or the new one.
func (r *Recovery) Commit(state []byte) (backup string, err error) {
	c := r.commit(state)
	for _, step := range c.steps() {
		if err := step(); err != nil {
			return "", err
		}
	}
	return c.backup, nil
}

// commit is a recovery that is being carried out.
type commit struct {
	cfg    Config
	store  *store
	own    identity // the new one
	last   Position
	state  []byte
	backup string
	noted  noted
}

func (r *Recovery) commit(state []byte) *commit {
	s, old := r.node.store, r.node.self
	next, id := old.Generation.newGeneration()
	return &commit{
		cfg: r.node.cfg, store: s, last: r.last, state: state, backup: s.dir + ".before-" + id,
		own: identity{Cluster: old.Cluster, Node: old.Node, Incarnation: newIncarnation(), Generation: next, Predecessor: old.Incarnation},
	}
}

// steps in order. The third is what makes the old store the new one; what the first two leave behind when a crash comes between, the
// node ignores or removes at its next start, and after the third it does the fourth itself (identify).
func (c *commit) steps() []func() error {
	return []func() error{c.backUp, c.writeSnapshot, c.switchOver, c.writeMarker}
}

func (c *commit) backUp() error {
	if err := copyDurably(c.store.dir, c.backup); err != nil {
		return fmt.Errorf("back %s up; nothing was changed: %w", c.store.dir, errors.Join(err, os.RemoveAll(c.backup)))
	}
	return nil
}

// writeSnapshot makes a snapshot that nothing refers to yet.
func (c *commit) writeSnapshot() error {
	id := c.own.serverID()
	members := raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: id, Address: serverAddress(c.cfg.address(), id)},
	}}
	files := c.store.snapshots
	sink, err := files.FileSnapshotStore.Create(raft.SnapshotVersionMax, c.last.Index, c.last.Term, members, 1, addressBook{})
	if err != nil {
		return fmt.Errorf("create snapshot; nothing was changed: %w", err)
	}
	if _, err := sink.Write(c.state); err != nil {
		return fmt.Errorf("write snapshot; nothing was changed: %w", errors.Join(err, sink.Cancel()))
	}
	if c.noted, err = files.place(sink, c.last.Index, c.last.Term); err != nil {
		return fmt.Errorf("write snapshot; nothing was changed: %w", err)
	}
	return nil
}

func (c *commit) switchOver() error {
	if err := c.store.bolt.begin(c.noted, c.own); err != nil {
		return fmt.Errorf("write %s: %w", c.store.path, err)
	}
	return nil
}

func (c *commit) writeMarker() error { return writeMarker(c.cfg, c.own) }

// addressBook is all of a transport that a snapshot needs.
type addressBook struct{ raft.Transport }

// EncodePeer implements raft.Transport.
func (addressBook) EncodePeer(_ raft.ServerID, address raft.ServerAddress) []byte {
	return []byte(address)
}

// copyDurably copies a directory to a new one, which no crash undoes once it has returned.
func copyDurably(from, to string) error {
	return errors.Join(filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return errors.Join(os.Mkdir(target, 0o700), syncDir(filepath.Dir(target)))
		}
		return copyFile(path, target)
	}), syncDir(filepath.Dir(to)))
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close(), syncDir(filepath.Dir(to)))
}
