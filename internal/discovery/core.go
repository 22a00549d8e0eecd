package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/eip"
)

const (
	// sightings is in how many reads in a row a new instance must be there: EC2's reads are eventually consistent.
	sightings = 2
	// fewestVoters are left alone, those that are about to get a vote counted: with fewer, one more loss is a loss of the quorum for ever, and
	// not until somebody comes back.
	fewestVoters = 3
	// mostMembers is what one Raft group is meant for, as in the configuration.
	mostMembers = 9
)

// Member is a member of the cluster, as the leader knows it.
type Member struct {
	Name    string
	Address netip.AddrPort
	// Voter: it has a vote. Others were admitted, and are not there yet or wait for theirs.
	Voter bool
	// Reachable: it answered this leader lately. The leader reaches itself.
	Reachable bool
}

// Read is one look at EC2.
type Read struct {
	// At is the time since boot, suspensions included.
	At time.Duration
	// Instances are all that have the tag and run. Err says why there are none to speak of.
	Instances []eip.Instance
	Err       error
}

// Decision is what follows from a read: whom to admit, then whom to remove.
type Decision struct {
	Admit  []Node
	Remove []string // one at most
	// Waits says in sentences what is not done, and why.
	Waits []string
}

// Core remembers what it needs of earlier reads. It is for one leadership: the next leader begins anew.
type Core struct {
	self          string
	layout        Layout
	stabilisation time.Duration

	seen    map[string]int           // instances that are no members: reads in a row
	missing map[string]time.Duration // members without an instance: since which read

	// removing is the voter that the last removal is of, until it is seen to be gone; removals are the times of those that are done. A
	// voter that is gone counts though it comes back at once: it comes with an empty log, and has no vote yet.
	removing removal
	removals []time.Duration
}

// removal is of a voter; the zero value of none.
type removal struct {
	name string
	at   time.Duration
}

// NewCore makes the core of the node of that name.
func NewCore(self string, layout Layout, stabilisation time.Duration) *Core {
	c := &Core{self: self, layout: layout, stabilisation: stabilisation}
	c.forget()
	return c
}

// forget begins all waiting anew.
func (c *Core) forget() {
	c.seen, c.missing = make(map[string]int), make(map[string]time.Duration)
}

var (
	errNothing = errors.New("EC2 shows no instance with the tag")
	errNotSelf = errors.New("EC2 does not show this instance, so it does not show all: has it lost its tag?")
)

// check says why a read is not to be believed. A list that lacks this very instance lacks others too.
func (c *Core) check(r Read) error {
	switch {
	case r.Err != nil:
		return r.Err
	case len(r.Instances) == 0:
		return errNothing
	case !slices.ContainsFunc(r.Instances, func(i eip.Instance) bool { return i.ID == c.self }):
		return errNotSelf
	}
	return nil
}

// Step decides. A read that is not to be believed changes nothing, and whoever was waited for is waited for anew.
func (c *Core) Step(r Read, members []Member) Decision {
	var d Decision
	if err := c.check(r); err != nil {
		c.forget()
		d.wait("nobody is admitted or removed: %v", err)
		return d
	}
	nodes, unfit := c.layout.Nodes(r.Instances)
	for _, id := range unfit {
		d.wait("%s has no private address that a node needs", id)
	}
	c.book(r.At, members)
	c.admit(&d, nodes, members)
	c.remove(&d, r, nodes, members)
	return d
}

func (d *Decision) wait(format string, args ...any) {
	d.Waits = append(d.Waits, fmt.Sprintf(format, args...))
}

func (c *Core) admit(d *Decision, nodes []Node, members []Member) {
	seen := make(map[string]int)
	count := len(members)
	for _, n := range nodes {
		if slices.ContainsFunc(members, func(m Member) bool { return m.Name == n.Name }) {
			continue
		}
		seen[n.Name] = c.seen[n.Name] + 1
		former := slices.IndexFunc(members, func(m Member) bool { return m.Address == n.Address })
		switch {
		case seen[n.Name] < sightings:
			d.wait("%s is new: it is admitted when the next read shows it too", n.Name)
		case former >= 0:
			d.wait("%s has the address of %s: it is admitted when that one is removed", n.Name, members[former].Name)
		case count >= mostMembers:
			d.wait("%s is not admitted: there are %d members already", n.Name, count)
		default:
			d.Admit = append(d.Admit, n)
			count++
		}
	}
	c.seen = seen
}

// book counts the last removal when it has come true, and forgets those that are long ago. Nobody is admitted before, so who is still a member
// could not be removed.
func (c *Core) book(now time.Duration, members []Member) {
	still := slices.ContainsFunc(members, func(m Member) bool { return m.Name == c.removing.name })
	if c.removing != (removal{}) && !still {
		c.removals = append(c.removals, c.removing.at)
		c.removing = removal{}
	}
	c.removals = slices.DeleteFunc(c.removals, func(at time.Duration) bool { return now-at >= c.stabilisation })
}

func (c *Core) remove(d *Decision, r Read, nodes []Node, members []Member) {
	missing := make(map[string]time.Duration)
	var gone []Member
	for _, m := range members {
		there := slices.ContainsFunc(r.Instances, func(i eip.Instance) bool { return i.ID == m.Name })
		if there || !discovered(m.Name) {
			continue
		}
		since, known := c.missing[m.Name]
		if !known {
			since = r.At
		}
		missing[m.Name] = since
		gone = append(gone, m)
	}
	c.missing = missing
	slices.SortFunc(gone, func(a, b Member) int {
		return cmp.Or(cmp.Compare(missing[a.Name], missing[b.Name]), cmp.Compare(a.Name, b.Name))
	})
	for _, m := range gone {
		// EC2 gives an address away when its instance is over for good. Whoever has it now cannot become a member before.
		succeeded := slices.ContainsFunc(nodes, func(n Node) bool { return n.Address == m.Address })
		why := c.keeps(m, succeeded, r.At, members)
		switch {
		case why != "":
			d.wait("the instance of %s is gone, but it is not removed: %s", m.Name, why)
		case len(d.Remove) > 0:
			d.wait("the instance of %s is gone, but it is not removed: one at a time", m.Name)
		default:
			d.Remove = append(d.Remove, m.Name)
			if m.Voter {
				c.removing = removal{name: m.Name, at: r.At}
			}
		}
	}
}

// keeps says why a member without an instance stays for now, or "".
func (c *Core) keeps(m Member, succeeded bool, now time.Duration, members []Member) string {
	if now-c.missing[m.Name] < c.stabilisation {
		return fmt.Sprintf("not for %v yet", c.stabilisation)
	}
	if m.Reachable {
		return "it answers"
	}
	if !m.Voter {
		return ""
	}
	voters, live, standby := count(members)
	before := voters + len(c.removals)
	switch {
	case voters+standby <= fewestVoters && !succeeded:
		return fmt.Sprintf("there are %d voters, and one more loss would be that of the quorum: start another instance", voters)
	case len(c.removals) >= (before-1)/2:
		return fmt.Sprintf("%d of %d voters were removed within %v", len(c.removals), before, c.stabilisation)
	case live <= voters/2:
		return fmt.Sprintf("%d of %d voters answer", live, voters)
	}
	return ""
}

// count counts the voters, those of them that answer, and the nodes without a vote that answer. Of three voters a dead one has to go before a
// newcomer gets a vote: of four the quorum is three, and would depend on it (election, census.promotion).
func count(members []Member) (voters, live, standby int) {
	for _, m := range members {
		switch {
		case m.Voter && m.Reachable:
			voters, live = voters+1, live+1
		case m.Voter:
			voters++
		case m.Reachable:
			standby++
		}
	}
	return voters, live, standby
}
