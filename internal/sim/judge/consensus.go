package judge

import (
	"maps"

	"github.com/hacluster/hacluster/fsm"
)

// Led says that a server was seen as Raft leader of a term. A term has one leader, or nothing that is decided in it holds.
func (j *Judge) Led(server string, term uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acts(server, "leads")
	if other, known := j.leaders[term]; known && other != server {
		j.accuse("I1", "%s and %s both lead in term %d", other, server, term)
	}
	j.leaders[term] = server
}

// DiskLost says that the store of a server id is gone for good. Nobody may act under that id again.
func (j *Judge) DiskLost(server string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost[server] = true
}

func (j *Judge) acts(server, how string) {
	if j.lost[server] {
		j.accuse("I7", "%s %s, but its disk was lost", server, how)
	}
}

// Applied says that a server applied a committed command, for the first time or again after a restart. All servers apply the
// same commands, for ever.
func (j *Judge) Applied(server string, index, term uint64, command []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acts(server, "applies")
	j.applied[server] = max(j.applied[server], index)
	e := entry{term: term, command: string(command)}
	if known, again := j.log[index]; again {
		if known != e {
			j.accuse("I8", "%s applies %q of term %d at index %d, where %q of term %d was committed", server, e.command, term, index, known.command, known.term)
		}
		return
	}
	if index < j.state.Index {
		j.accuse("I8", "%s applies %q at index %d, where nothing had been committed before index %d", server, e.command, index, j.state.Index)
		return
	}
	j.log[index] = e
	j.commit(index, term, command)
}

// commit applies a command to the judge's own state and draws the consequences.
func (j *Judge) commit(index, term uint64, command []byte) {
	before := maps.Clone(j.state.Addresses)
	result := j.state.Apply(index, term, command)
	if result.Denied != "" {
		return
	}
	decoded, err := fsm.Decode(command)
	if err != nil {
		return
	}
	switch c := decoded.(type) {
	case fsm.Claim:
		j.grants[index] = grant{Grant: result.Grant, term: term, node: c.Node, address: c.AllocationID}
		if result.Grant.Mode == fsm.Adopt {
			j.adopted(c.Association, term)
		}
		if result.Grant.Displaces != "" {
			j.named[result.Grant.Displaces] = true
		}
		j.claimed(string(c.Node), c.AllocationID, before[c.AllocationID].Foreign)
	case fsm.Release:
		j.releasedAt(c.Ends, index)
		j.respects(c, before[c.AllocationID].Foreign, index, term)
	case fsm.Confirm:
		j.adopted(c.Association, term)
	}
}

// releasedAt: from here on no call is made under the claim. A second release only ends the respect of a foreign move.
func (j *Judge) releasedAt(claim, index uint64) {
	if g, granted := j.grants[claim]; granted && g.released == 0 {
		g.released = index
		j.grants[claim] = g
	}
}

// adopted: from here on the association is one of this term.
func (j *Judge) adopted(id fsm.AssociationID, term uint64) {
	if now, l := (epoch{j.number, term}), j.lives[id]; l.before(now) {
		j.lives[id] = life{epoch: now, contested: j.named[id]}
	}
}

// Restored says that a server replaced its state by a snapshot.
func (j *Judge) Restored(server string, snapshot []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acts(server, "restores")
	j.restored(server, snapshot)
}

// restored returns the index of a snapshot, which is one that was committed; 0 if there is no snapshot.
func (j *Judge) restored(server string, snapshot []byte) uint64 {
	if snapshot == nil {
		return 0
	}
	state, err := fsm.Restore(snapshot)
	switch {
	case err != nil:
		j.accuse("I8", "%s restores a snapshot that cannot be read: %v", server, err)
	case state.Index > j.state.Index:
		j.accuse("I8", "%s restores a snapshot of index %d, but only %d were committed", server, state.Index, j.state.Index)
	case state.Index > 0 && j.log[state.Index].term != state.Term:
		j.accuse("I8", "%s restores a snapshot of index %d and term %d, where an entry of term %d was committed", server, state.Index, state.Term, j.log[state.Index].term)
	}
	return state.Index
}
