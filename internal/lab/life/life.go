package life

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

const (
	// founders of the nodes are the first members; the others are machines that nobody has switched on.
	founders = 3
	nodes    = 5
	// patience is how long anything may take that the cluster does by itself.
	patience = 60 * time.Second
)

// Options say what to live with.
type Options struct {
	// Older and Newer are the programs of two releases. Older knows a lower level (docs/UPGRADE.md).
	Older, Newer string
	// Dir is where logs, the nodes' disks and the operator's files go. Not below /run.
	Dir string
	// Say is called with one line for each step; nil: nobody is told.
	Say func(string)
}

// Run lives the life, and returns what was seen of each step, as far as it came. An error means that something was otherwise than the
// documentation says, however busy the machine is.
func Run(ctx context.Context, opts Options) ([]Result, error) {
	if opts.Say == nil {
		opts.Say = func(string) {}
	}
	var err error
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, err
	}
	p := &play{older: opts.Older, newer: opts.Newer, dir: opts.Dir}
	var results []Result
	err = lab.Run(ctx, p.options(opts), func(ctx context.Context, l *lab.Lab) error {
		p.lab = l
		if err := p.setStage(ctx); err != nil {
			return fmt.Errorf("before the first step: %w", err)
		}
		for i, s := range steps() {
			opts.Say(fmt.Sprintf("[%d/%d] %s", i+1, len(steps()), s.Name))
			r, err := p.perform(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			opts.Say("        " + r.Line())
			results = append(results, r)
		}
		return nil
	})
	return results, err
}

// options are those of a lab whose machines run HAProxy only: agents are started by the operator.
func (p *play) options(opts Options) lab.Options {
	return lab.Options{
		Hacluster: opts.Older, Dir: opts.Dir, Progress: opts.Say, Nodes: nodes, Spares: nodes - founders,
		Programs: func(n *lab.Node) ([]lab.Program, error) {
			agent, err := n.Hacluster(lab.Setup{Members: firstMembers(n.Name), Certificates: n.File(certificates)})
			agent.Manual = true
			return []lab.Program{agent}, err
		},
	}
}

// firstMembers are the names under nodes: in the configuration of a node. That of a later one is the file of the others with one more line.
func firstMembers(name string) []string {
	names := lab.NodeNames()
	for _, founder := range names {
		if founder == name {
			return names
		}
	}
	return append(names, name)
}

// setStage puts the older program in place, and the Elastic IP to the first node, where clients are served before there is a cluster.
func (p *play) setStage(ctx context.Context) error {
	for _, n := range p.lab.Nodes() {
		if err := p.install(n, p.older); err != nil {
			return err
		}
		if err := os.Symlink(lab.Agent+".yaml", n.File(configName)); err != nil {
			return fmt.Errorf("name the configuration: %w", err)
		}
	}
	if err := os.MkdirAll(p.desk(), 0o700); err != nil {
		return fmt.Errorf("make the operator's directory: %w", err)
	}
	if err := link(p.newer, filepath.Join(p.dir, "bin")); err != nil {
		return err
	}
	if err := p.lab.Place(p.lab.Nodes()[0]); err != nil {
		return err
	}
	placed := time.Now()
	return p.until(ctx, func(context.Context) error {
		if time.Since(placed) < probe.Timeout || !p.lab.Served() { // requests of before led nowhere
			return errNotServed
		}
		return nil
	})
}

// perform takes one step, with clients all the time, and measures what they saw of it.
func (p *play) perform(ctx context.Context, s step) (Result, error) {
	p.screen = nil
	e := lab.Evidence{Fault: s.Name, Victim: p.lab.Holder(), Injected: time.Now()}
	if err := s.do(ctx, p); err != nil {
		return Result{}, err
	}
	e.End = time.Now()
	if err := p.lab.Settle(ctx, &e); err != nil {
		return Result{}, err
	}
	r := newResult(s, e, p.screen)
	return r, s.promise.never(r)
}
