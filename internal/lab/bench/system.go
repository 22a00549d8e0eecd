package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// System is one way of deciding which node holds the Elastic IP.
type System interface {
	Name() string
	// Programs are what a node runs beside HAProxy.
	Programs(n *lab.Node) ([]lab.Program, error)
	// Steady waits until the system, just booted, serves clients from the first node, and every other node could take over.
	Steady(ctx context.Context, l *lab.Lab) error
	// Adapt returns how the system is told what a fault wants. Only a planned handover differs: keepalived has none.
	Adapt(fault lab.Fault) lab.Fault
}

// The names of the systems.
const (
	Default     = "hacluster"
	Fast        = "hacluster-fast"
	FastFencing = "hacluster-fast-fencing"
	Tuned       = "keepalived-tuned"
	Tuned30     = "keepalived-tuned-30ms"
	Tuned100    = "keepalived-tuned-100ms"
	TunedWatch  = "keepalived-tuned-watch"
	TunedRT     = "keepalived-tuned-rt"
	Classic     = "keepalived-classic"
)

// steadyLimit is how long a system may take to be steady after it booted.
const steadyLimit = 60 * time.Second

// systems returns every system. With tls, EC2 is spoken to over TLS.
func systems(tools Tools, tls bool) []System {
	tuned := func(name string, interval time.Duration) keepalived {
		return keepalived{name: name, recipe: tunedRecipe, Interval: interval, tools: tools, tls: tls}
	}
	watched, realTime := tuned(TunedWatch, 10*time.Millisecond), tuned(TunedRT, 10*time.Millisecond)
	watched.Watched, realTime.RealTime = true, true
	return []System{
		hacluster{name: Default, setup: lab.Setup{Name: Default, TLS: tls}},
		hacluster{name: Fast, setup: lab.Setup{Name: Fast, Profile: "fast", TLS: tls}},
		hacluster{name: FastFencing, setup: lab.Setup{Name: FastFencing, Profile: "fast", Fencing: "fast", TLS: tls}},
		tuned(Tuned, 10*time.Millisecond), tuned(Tuned30, 30*time.Millisecond), tuned(Tuned100, 100*time.Millisecond),
		watched, realTime,
		keepalived{name: Classic, recipe: classicRecipe, tools: tools, tls: tls},
	}
}

// find returns the systems with these names, in their own order; no names: all.
func find(all []System, names []string) ([]System, error) {
	var known []string
	for _, s := range all {
		known = append(known, s.Name())
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown system %q: choose some of %s", name, strings.Join(known, ","))
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(s System) bool { return !slices.Contains(names, s.Name()) }), nil
}

// hacluster is the program under test in one of its profiles.
type hacluster struct {
	name  string
	setup lab.Setup
}

func (h hacluster) Name() string { return h.name }

func (h hacluster) Programs(n *lab.Node) ([]lab.Program, error) {
	agent, err := n.Hacluster(h.setup)
	return []lab.Program{agent}, err
}

// Steady brings the address to the first node, where keepalived's priorities bring it by themselves.
func (h hacluster) Steady(ctx context.Context, l *lab.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, steadyLimit)
	defer cancel()
	first := l.Nodes()[0]
	var last error
	for {
		status, err := l.AwaitSteady(ctx, steadyLimit)
		if err != nil {
			return errors.Join(err, last)
		}
		if status.Holder == first.Name {
			return nil
		}
		if i := slices.IndexFunc(l.Nodes(), func(n *lab.Node) bool { return n.Name == status.Holder }); i > 0 {
			last = l.Nodes()[i].Transfer(ctx, first.Name)
		}
	}
}

func (h hacluster) Adapt(fault lab.Fault) lab.Fault { return fault }
