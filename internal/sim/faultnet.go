package sim

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// way is one direction between two addresses.
type way struct{ from, to string }

// cuts counts the faults that cut each way. It belongs to the director.
type cuts map[way]int

func (f *fault) disturbNetwork() bool {
	f.say(f.target.name)
	self := f.target.ip.String()
	others := f.others()
	switch f.Kind {
	case Isolate:
		f.cut(both([]string{self}, others))
	case Partition:
		minority := append([]string{self}, others[:(len(f.nodes)-1)/2-1]...)
		f.cut(both(minority, without(others, minority)))
	case OneWay:
		if f.dice.IntN(2) == 0 {
			others = others[:1]
		}
		ways := both([]string{self}, others)
		half := len(ways) / 2
		if f.dice.IntN(2) == 0 {
			f.cut(ways[:half])
		} else {
			f.cut(ways[half:])
		}
	case Bridge:
		f.cut(both([]string{self}, others[:1]))
	case SlowLink:
		f.slowDown(self, others)
	case Reset:
		for _, other := range others {
			f.net.Reset(self, other)
		}
	}
	return true
}

// others are the addresses of the other nodes, in any order.
func (f *fault) others() []string {
	var ips []string
	for _, n := range f.nodes {
		if n != f.target {
			ips = append(ips, n.ip.String())
		}
	}
	f.dice.Shuffle(len(ips), func(i, j int) { ips[i], ips[j] = ips[j], ips[i] })
	return ips
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(ip string) bool { return slices.Contains(some, ip) })
}

// both are the ways between two sides: first all that lead forth, then all that lead back.
func both(one, other []string) []way {
	var forth, back []way
	for _, a := range one {
		for _, b := range other {
			forth, back = append(forth, way{a, b}), append(back, way{b, a})
		}
	}
	return append(forth, back...)
}

// cut cuts ways until the fault is over. Then what was held arrives, or the streams are broken.
func (f *fault) cut(ways []way) {
	for _, c := range ways {
		f.cuts[c]++
		f.net.Cut(c.from, c.to)
	}
	reset := f.dice.IntN(4) == 0
	f.director.undo(f.For, func() {
		f.trace.add("net", "%s is over", f.Kind)
		for _, c := range ways {
			if f.cuts[c]--; f.cuts[c] > 0 {
				continue
			}
			if reset && c.to != cloudIP && c.from != cloudIP {
				f.net.Reset(c.from, c.to)
			}
			f.net.Heal(c.from, c.to)
		}
	})
}

func (f *fault) slowDown(self string, others []string) {
	bad := simnet.Quality{Least: time.Millisecond, Most: time.Millisecond + time.Duration(f.dice.Int64N(int64(300*time.Millisecond))), Loss: f.dice.Float64() * 0.2}
	for _, c := range both([]string{self}, others) {
		f.net.SetQuality(c.from, c.to, bad)
	}
	f.director.undo(f.For, func() {
		for _, c := range both([]string{self}, others) {
			f.net.SetQuality(c.from, c.to, f.schedule.LAN)
		}
	})
}

// oneAddress draws one of the cluster's addresses.
func (f *fault) oneAddress() (int, fsm.AllocationID) {
	ids, i := f.schedule.addresses(), 0
	if len(ids) > 1 {
		i = f.dice.IntN(len(ids))
	}
	return i, ids[i]
}

func (f *fault) disturbEC2() bool {
	switch f.Kind {
	case Outage, DeafEC2:
		f.say(f.target.name)
		victims := []string{f.target.ip.String()}
		if f.dice.IntN(4) == 0 {
			victims = append(victims, f.others()...)
		}
		ways := both(victims, []string{cloudIP})
		if f.Kind == DeafEC2 {
			ways = ways[len(ways)/2:]
		}
		f.cut(ways)
	case BadEC2:
		f.say("ec2")
		f.cloud.setTemper(f.schedule.Temper.bad())
		f.director.undo(f.For, func() { f.cloud.setTemper(f.schedule.Temper) })
	case Person:
		machine := f.dice.IntN(len(f.nodes) + 1)
		i, address := f.oneAddress()
		ip := strangerAddr(i)
		if machine < len(f.nodes) {
			ip = f.nodes[machine].place(i)
		}
		f.trace.add("person", "associates the address %s with %v", address, ip)
		f.cloud.personAssociates(address, ip)
	case PersonFrees:
		_, address := f.oneAddress()
		f.trace.add("person", "disassociates the address %s", address)
		if err := f.cloud.fake.Disassociate(string(address)); err != nil {
			panic(err)
		}
	}
	return true
}
