package chaos

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func deal(seed uint64, n int) []string {
	p := newPlan(allKinds(), rand.New(rand.NewPCG(seed, 0)))
	var names []string
	for range n {
		names = append(names, p.next().name)
	}
	return names
}

// The seed decides the order; every kind comes as often as its weight says before any comes again.
func TestPlan(t *testing.T) {
	deck := 0
	for _, k := range allKinds() {
		deck += k.weight
	}
	first := deal(1, 2*deck)
	if !slices.Equal(first, deal(1, 2*deck)) {
		t.Error("one seed, two orders")
	}
	if slices.Equal(first, deal(2, 2*deck)) {
		t.Error("two seeds, one order")
	}
	for _, k := range allKinds() {
		for half, names := range [][]string{first[:deck], first[deck:]} {
			if n := count(names, k.name); n != k.weight {
				t.Errorf("%s came %d times in deck %d, its weight is %d", k.name, n, half, k.weight)
			}
		}
	}
}

func count(names []string, name string) int {
	n := 0
	for _, other := range names {
		if other == name {
			n++
		}
	}
	return n
}

func TestChooseKinds(t *testing.T) {
	chosen, err := chooseKinds([]string{"all-killed", "disk-full"})
	if err != nil || len(chosen) != 2 || chosen[1].name != "disk-full" {
		t.Errorf("chose %v, %v", chosen, err)
	}
	if _, err := chooseKinds([]string{"earthquake"}); err == nil || !strings.Contains(err.Error(), `unknown kind of fault "earthquake": choose some of agent-kill,`) {
		t.Errorf("an unknown kind: %v", err)
	}
	names := Kinds()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(allKinds()) {
		t.Errorf("two kinds of one name: %q", Kinds())
	}
}

// A fault's randomness is its own: it does not depend on what other faults drew.
func TestDice(t *testing.T) {
	for fault := range 100 {
		a, b := newDice(7, fault), newDice(7, fault)
		low, high := 100*time.Millisecond, 20*time.Second
		x := a.between(low, high)
		if x != b.between(low, high) || x < low || x > high {
			t.Errorf("fault %d: %v, then another", fault, x)
		}
	}
	short := 0
	for fault := range 1000 {
		if newDice(1, fault).between(100*time.Millisecond, 10*time.Second) < time.Second {
			short++
		}
	}
	if short < 400 || short > 600 {
		t.Errorf("%d of 1000 are in the lower of two orders of magnitude", short)
	}
}

func TestBookings(t *testing.T) {
	var b bookings
	if !b.book([]string{"agent of node-a", "disk"}) || !b.book([]string{"agent of node-b"}) || !b.book(nil) {
		t.Error("what is free cannot be booked")
	}
	if b.book([]string{"agent of node-c", "disk"}) {
		t.Error("booked twice")
	}
	if !b.book([]string{"agent of node-c"}) {
		t.Error("a booking in vain has taken something")
	}
	b.free([]string{"agent of node-a", "disk"})
	if !b.book([]string{"disk"}) {
		t.Error("what was given back cannot be booked")
	}
}
