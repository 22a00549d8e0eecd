package chaos

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// plan deals kinds of faults like cards: each comes as often as its weight says, in a seeded order, and none is forgotten.
type plan struct {
	kinds  []*kind
	random *rand.Rand
	left   []*kind
}

// kind is a kind of fault.
type kind struct {
	name   string
	weight int
	// build chooses target and time; nil: nothing suits at the moment. It must not break anything yet.
	build func(r *run, d *dice) *act
}

func newPlan(kinds []*kind, random *rand.Rand) *plan {
	return &plan{kinds: kinds, random: random}
}

// kind returns the kind of that name, nil if it is not in the plan.
func (p *plan) kind(name string) *kind {
	if i := slices.IndexFunc(p.kinds, func(k *kind) bool { return k.name == name }); i >= 0 {
		return p.kinds[i]
	}
	return nil
}

func (p *plan) next() *kind {
	if len(p.left) == 0 {
		for _, k := range p.kinds {
			p.left = append(p.left, slices.Repeat([]*kind{k}, k.weight)...)
		}
		p.random.Shuffle(len(p.left), func(i, j int) { p.left[i], p.left[j] = p.left[j], p.left[i] })
	}
	k := p.left[0]
	p.left = p.left[1:]
	return k
}

// Kinds returns the names of all kinds of faults.
func Kinds() []string {
	var names []string
	for _, k := range allKinds() {
		names = append(names, k.name)
	}
	return names
}

func allKinds() []*kind {
	return slices.Concat(processKinds(), networkKinds(), cloudKinds(), diskKinds())
}

// CheckKinds returns an error that names the remedy if one of the names is no kind of fault.
func CheckKinds(only []string) error {
	_, err := chooseKinds(only)
	return err
}

func chooseKinds(only []string) ([]*kind, error) {
	all := allKinds()
	if len(only) == 0 {
		return all, nil
	}
	var chosen []*kind
	for _, name := range only {
		i := slices.IndexFunc(all, func(k *kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown kind of fault %q: choose some of %s", name, strings.Join(Kinds(), ","))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// dice is the randomness of one fault: it depends on the seed and the fault's number only, however faults overlap.
type dice struct{ *rand.Rand }

func newDice(seed uint64, fault int) *dice {
	return &dice{rand.New(rand.NewPCG(seed, uint64(fault)))}
}

// between returns a time from low to high, each order of magnitude as likely as the others.
func (d *dice) between(low, high time.Duration) time.Duration {
	return time.Duration(float64(low) * math.Pow(float64(high)/float64(low), d.Float64()))
}

// chance is true n times in 100.
func (d *dice) chance(n int) bool { return d.IntN(100) < n }

// pick returns one of the choices.
func pick[T any](d *dice, choices []T) T { return choices[d.IntN(len(choices))] }

// bookings keep two faults from working on the same thing at a time.
type bookings struct {
	mu    sync.Mutex
	taken map[string]bool
}

// book takes all of the names, or none and returns false.
func (b *bookings) book(names []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken == nil {
		b.taken = make(map[string]bool)
	}
	if slices.ContainsFunc(names, func(name string) bool { return b.taken[name] }) {
		return false
	}
	for _, name := range names {
		b.taken[name] = true
	}
	return true
}

func (b *bookings) free(names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		delete(b.taken, name)
	}
}
