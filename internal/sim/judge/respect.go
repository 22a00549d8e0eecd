package judge

import (
	"maps"

	"github.com/hacluster/hacluster/fsm"
)

// sight is what a node has read of an address since somebody else's association is respected: the last two reads, the newest last.
type sight struct {
	reads        int
	before, last fsm.AssociationID
}

// Read says that a node's read of an address was answered.
func (j *Judge) Read(node string, address fsm.AllocationID, association string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reads[node] == nil {
		j.reads[node] = map[fsm.AllocationID]sight{}
	}
	seen := j.reads[node][address]
	j.reads[node][address] = sight{reads: seen.reads + 1, before: seen.last, last: fsm.AssociationID(association)}
}

// Proposed says that a node is about to propose an entry: what it has read by now is what it acts on.
func (j *Judge) Proposed(node string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.basis[node] = maps.Clone(j.reads[node])
}

// TransferAsked says that an operator wants a server to hand over, which may end the respect of foreign associations.
func (j *Judge) TransferAsked(server string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked[server] = true
}

// respects follows a release: it begins to respect a foreign association, or ends that. Nobody but an operator ends it, by the hand of the
// leader of the term: releases for any other reason leave it as it is (invariant I6).
func (j *Judge) respects(c fsm.Release, before fsm.AssociationID, index, term uint64) {
	switch {
	case c.Foreign != "":
		j.respected[c.Foreign] = index
		for _, seen := range []map[string]map[fsm.AllocationID]sight{j.reads, j.basis} {
			for node := range seen {
				delete(seen[node], c.AllocationID)
			}
		}
	case before != "":
		if !j.asked[j.leaders[term]] {
			j.accuse("I6", "the leader %s of term %d ends the respect of %s at index %d, and no operator asked for that: %s", j.leaders[term], term, before, index, c.Reason)
		}
		delete(j.respected, before)
	}
}

// claimed follows a claim, which ends the respect of a foreign association. It may if its node has looked twice and not seen it:
// one read may show the past.
func (j *Judge) claimed(node string, address fsm.AllocationID, foreign fsm.AssociationID) {
	if seen := j.basis[node][address]; foreign != "" && seen.reads > 1 && seen.before != foreign && seen.last != foreign {
		delete(j.respected, foreign)
	}
}

// displaced: what a person did and the cluster respects is not taken away by a later claim (invariant I6).
func (j *Judge) displaced(c made, old fsm.AssociationID) {
	if c.ID == 0 {
		return
	}
	since, maker := c.in.respected[old], j.makers[old]
	if maker == 0 && since != 0 && c.Claim > since {
		j.accuse("I6", "%s of %s (claim %d) displaces %s, which a person made and index %d respects", c.what(), c.Node, c.Claim, old, since)
	}
}

// leftAlone reports whether an address rightly stays where it is: a person put it there, and that is respected as configured.
func (j *Judge) leftAlone(address fsm.AllocationID, actual Place) bool {
	id := fsm.AssociationID(actual.Association)
	maker, known := j.makers[id]
	return j.cfg.Respect && known && maker == 0 && j.state.Addresses[address].Foreign == id
}
