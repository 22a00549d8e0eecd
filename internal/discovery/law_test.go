package discovery

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hacluster/hacluster/eip"
)

// world is a cluster and an account about which anything may happen.
type world struct {
	*rapid.T
	now       time.Duration
	core      *Core
	members   []Member
	instances map[string]bool          // as EC2 shows them
	lastSeen  map[string]time.Duration // when a good read showed it
	trouble   time.Duration            // when a read was last not to be believed
	sightings map[string]int           // good reads in a row, up to now
	removals  []time.Duration
}

const (
	everyone = "abcdefghijkl"
	period   = 5 * time.Minute
)

// TestNothingIsRemovedThatMatters: whatever EC2 shows and whoever answers, at no read is a member removed that was seen within the period, that
// answers, whose vote is needed, or that is one too many; and nobody is admitted on one sighting.
func TestNothingIsRemovedThatMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, core: NewCore("i-a", Layout{Port: 7400}, period), instances: map[string]bool{},
			lastSeen: map[string]time.Duration{}, sightings: map[string]int{}, trouble: -1}
		for _, letter := range everyone[:rapid.IntRange(3, 9).Draw(t, "size")] {
			name := string(letter)
			w.instances[name] = true
			w.members = append(w.members, Member{Name: nodeName(name), Address: addressOf(name), Voter: true, Reachable: true})
		}
		for range 100 {
			w.happen()
			w.read()
		}
	})
}

// happen changes some of the world.
func (w *world) happen() {
	for range rapid.IntRange(0, 2).Draw(w.T, "events") {
		letter := string(everyone[rapid.IntRange(1, len(everyone)-1).Draw(w.T, "who")])
		switch rapid.SampledFrom([]string{"dies", "dies", "loses its tag", "instance", "answers", "votes"}).Draw(w.T, "what") {
		case "dies":
			w.instances[letter] = false
			w.change(letter, func(m *Member) { m.Reachable = false })
		case "loses its tag":
			w.instances[letter] = false
		case "instance":
			w.instances[letter] = !w.instances[letter]
		case "answers":
			w.change(letter, func(m *Member) { m.Reachable = !m.Reachable })
		case "votes":
			w.change(letter, func(m *Member) { m.Voter, m.Reachable = true, true })
		}
	}
	w.now += time.Duration(rapid.IntRange(10, 100).Draw(w.T, "seconds")) * time.Second
}

func (w *world) change(letter string, change func(*Member)) {
	for i := range w.members {
		if w.members[i].Name == nodeName(letter) {
			change(&w.members[i])
		}
	}
}

func (w *world) read() {
	r := Read{At: w.now}
	for letter, there := range w.instances {
		if there {
			r.Instances = append(r.Instances, instance(letter))
		}
	}
	switch rapid.IntRange(0, 40).Draw(w.T, "trouble") {
	case 0:
		r.Err = errors.New("EC2 is away")
	case 1:
		r.Instances = nil
	case 2:
		r.Instances = slices.DeleteFunc(r.Instances, func(i eip.Instance) bool { return i.ID == "i-a" })
	default:
		w.note(r)
		w.judge(r, w.core.Step(r, w.members))
		return
	}
	w.trouble = w.now
	clear(w.sightings)
	if d := w.core.Step(r, w.members); len(d.Admit)+len(d.Remove) > 0 {
		w.Fatalf("on a read that is not to be believed: %+v", d)
	}
}

// note keeps the world's own books.
func (w *world) note(r Read) {
	for _, letter := range everyone {
		name := nodeName(string(letter))
		if slices.ContainsFunc(r.Instances, func(i eip.Instance) bool { return i.ID == name }) {
			w.lastSeen[name] = w.now
			w.sightings[name]++
		} else {
			delete(w.sightings, name)
		}
	}
}

func (w *world) judge(r Read, d Decision) {
	for _, n := range d.Admit {
		if w.sightings[n.Name] < 2 {
			w.Fatalf("%s is admitted after %d sightings", n.Name, w.sightings[n.Name])
		}
		w.members = append(w.members, Member{Name: n.Name, Address: n.Address})
	}
	if len(w.members) > 9 {
		w.Fatalf("%d members", len(w.members))
	}
	for _, name := range d.Remove {
		w.judgeRemoval(name)
	}
}

func (w *world) judgeRemoval(name string) {
	at := slices.IndexFunc(w.members, func(m Member) bool { return m.Name == name })
	if at < 0 {
		w.Fatalf("%s is removed and no member", name)
	}
	m := w.members[at]
	seen, ever := w.lastSeen[name]
	if m.Reachable || w.sightings[name] > 0 || ever && w.now-seen < period || w.trouble >= 0 && w.now-w.trouble < period {
		w.Fatalf("%+v is removed at %v; last seen %v, last trouble %v", m, w.now, seen, w.trouble)
	}
	before, _, _ := count(w.members)
	w.members = slices.Delete(w.members, at, at+1)
	if !m.Voter {
		return
	}
	w.removals = slices.DeleteFunc(w.removals, func(t time.Duration) bool { return w.now-t >= period })
	w.removals = append(w.removals, w.now)
	voters, live, standby := count(w.members)
	if voters+standby < 3 || live <= voters/2 || live <= before/2 {
		w.Fatalf("%s is removed at %v: of %d voters %d live now, and %d more wait for a vote", name, w.now, voters, live, standby)
	}
	if most := (voters + len(w.removals) - 1) / 2; len(w.removals) > most {
		w.Fatalf("%d removals within %v, of %d voters", len(w.removals), period, voters+len(w.removals))
	}
}

// TestWhoIsLostIsReplaced: of each number of nodes, a minority ends at once, and as many new ones come. In the end these are the voters. A newcomer
// gets its vote as package election gives it: one at a time, and as soon as the quorum would not depend on it.
func TestWhoIsLostIsReplaced(t *testing.T) {
	for size := 3; size <= 6; size++ {
		for lost := 1; lost <= (size-1)/2; lost++ {
			core := NewCore("i-a", Layout{Port: 7400}, period)
			var members []Member
			for _, letter := range everyone[:size] {
				name := string(letter)
				members = append(members, Member{Name: nodeName(name), Address: addressOf(name), Voter: true, Reachable: letter < rune('a'+size-lost)})
			}
			shown := everyone[:size-lost] + everyone[size:size+lost]
			for at := time.Duration(0); at < time.Hour; at += 30 * time.Second {
				members = replaced(core, at, shown, members)
			}
			voters, live, standby := count(members)
			if len(members) != size || voters != size || live != size {
				t.Errorf("%d of %d are lost: in the end there are %d voters, %d of them live, and %d wait: %+v", lost, size, voters, live, standby, members)
			}
		}
	}
}

// replaced does what the core decides, and gives newcomers their votes.
func replaced(core *Core, at time.Duration, shown string, members []Member) []Member {
	r := Read{At: at}
	for _, letter := range shown {
		r.Instances = append(r.Instances, instance(string(letter)))
	}
	d := core.Step(r, members)
	members = slices.DeleteFunc(members, func(m Member) bool { return slices.Contains(d.Remove, m.Name) })
	for _, n := range d.Admit {
		members = append(members, Member{Name: n.Name, Address: n.Address, Reachable: true})
	}
	for i := range members {
		if voters, live, _ := count(members); !members[i].Voter && live >= (voters+1)/2+1 {
			members[i].Voter = true
		}
	}
	return members
}
