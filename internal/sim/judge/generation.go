package judge

import (
	"maps"
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// generation is what consensus is seen to do until the quorum is lost for good. The recovery begins another one: what the lost nodes alone
// knew is no more, so the next one may use the same terms and indexes for something else. Calls of a past one may land in any later one.
type generation struct {
	number    int                                 // how many recoveries there were before it
	leaders   map[uint64]string                   // by term
	followed  map[uint64]map[string]time.Duration // by term and node: when it last obeyed
	origin    fsm.State                           // what it began with
	log       map[uint64]entry                    // committed commands by index
	state     fsm.State                           // after all of them
	grants    map[uint64]grant                    // by index
	respected map[fsm.AssociationID]uint64        // since which index; 0: not, or not any more

	// kept is the index up to which the next generation knows what was committed in this one, and heir that of the attempt which
	// stands there for every call behind it.
	kept, heir uint64
}

func newGeneration(number int, origin fsm.State) *generation {
	return &generation{number: number, leaders: map[uint64]string{}, followed: map[uint64]map[string]time.Duration{}, origin: origin,
		log: map[uint64]entry{}, state: origin.Clone(), grants: map[uint64]grant{}, respected: map[fsm.AssociationID]uint64{}}
}

// epoch is when in the life of a cluster something was: terms count anew from where a survivor's log ends, so generations come first.
type epoch struct {
	generation int
	term       uint64
}

func (e epoch) before(other epoch) bool {
	return e.generation < other.generation || e.generation == other.generation && e.term < other.term
}

// Survivor is what the store of a node holds that is recovered alone: a snapshot, nil if there is none, and the entries behind it.
type Survivor struct {
	Server   string
	Snapshot []byte
	Entries  []Entry
}

// Entry is a command in a store, whether it was ever committed or not.
type Entry struct {
	Index, Term uint64
	Command     []byte
}

// Recovered says that the quorum is lost for good, and that a survivor goes on alone with what its store comes to, changed for its new life.
// No process may run then. docs/RECOVERY.md says what may be lost, and this is all that the judge forgives:
//
//   - committed entries that the survivor has not got. What it had applied itself it must still have (I8);
//   - entries in its store that were never committed are from now on. They were never granted, so they allow no call;
//   - terms and indexes behind the end of its log may be used again. A claim of the past allows no call and no advert any more.
//
// The rest goes on: nobody acts under the survivor's old identity, as its store is another one now (I7). Whatever is respected by what the
// survivor knows has to be read anew by who claims all the same. A call of the past is held to what its own generation granted and respected;
// whatever the new one makes or adopts is newer, and must be fenced or guarded against it, lost claims included.
//
// It returns how many committed entries are lost, and how many count that were never committed.
func (j *Judge) Recovered(s Survivor, change func(*fsm.State)) (lost, revived int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	state, kept, revived := j.replay(s)
	for index := range j.log {
		if index > kept {
			lost++
		}
	}
	if applied := j.applied[s.Server]; kept < applied {
		j.accuse("I8", "%s applied the entry of index %d, but its store has what was committed only up to index %d", s.Server, applied, kept)
	}
	j.kept, j.heir = kept, state.Index+1
	change(&state)
	next := newGeneration(j.number+1, state)
	next.log[state.Index] = entry{term: state.Term} // nothing before the end of the survivor's log is ever applied again
	for _, a := range state.Addresses {
		if a.Foreign != "" {
			next.respected[a.Foreign] = state.Index
		}
	}
	j.generation = next
	j.lost[s.Server] = true
	clear(j.reads)
	clear(j.basis)
	return lost, revived
}

// replay returns what a survivor's store comes to, up to which index that is what was committed, and how many entries more there are.
func (j *Judge) replay(s Survivor) (state fsm.State, kept uint64, more int) {
	committed := slices.Sorted(maps.Keys(j.log))
	state, kept = j.origin.Clone(), j.origin.Index
	committed = slices.DeleteFunc(committed, func(i uint64) bool { return i <= kept })
	for until := j.restored(s.Server, s.Snapshot); len(committed) > 0 && committed[0] <= until; committed = committed[1:] {
		kept = committed[0]
		state.Apply(kept, j.log[kept].term, []byte(j.log[kept].command))
	}
	for i, e := range s.Entries {
		if i < len(committed) && (i == 0 || kept == committed[i-1]) && committed[i] == e.Index && j.log[e.Index] == e.entry() {
			kept = e.Index
		} else {
			more++
		}
		state.Apply(e.Index, e.Term, e.Command)
	}
	return state, kept, more
}

func (e Entry) entry() entry { return entry{term: e.Term, command: string(e.Command)} }
