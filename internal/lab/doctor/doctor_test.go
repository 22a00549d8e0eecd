package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, lab.Roles()) }

// One lab, from three machines on which only HAProxy runs to a cluster in which one thing after the other is wrong.
func TestDoctor(t *testing.T) {
	sandboxtest.Need(t)
	opts := lab.Options{Hacluster: sandboxtest.Build(t), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab"), Programs: func(n *lab.Node) ([]lab.Program, error) {
		agent := n.HaclusterWith(n.File(configFile))
		agent.Manual = true
		return []lab.Program{agent, soloHAProxy(n)}, nil
	}}
	err := lab.Run(t.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		c := newClinic(ctx, t, l, opts.Hacluster)
		t.Run("before the agents run", c.with((*clinic).checkBeforeInstallation))
		c.startAgents()
		t.Run("nothing is wrong", c.with((*clinic).checkHealthy))
		for _, a := range ailments() {
			t.Run(a.name, c.with(func(c *clinic) { c.checkFound(a) }))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// environmental are the checks that measure this machine, and not the lab. A warning of theirs is true, and no part of these tests.
var environmental = []string{"data-dir", "cpu", "timing"}

// checkBeforeInstallation: nothing that is not there yet is called a failure.
func (c *clinic) checkBeforeInstallation() {
	c.until(func() error {
		r := c.examine(c.nodes[0], "")
		err := r.onlyWarns(map[string]string{"peers": "nothing listens"})
		if r.status != 0 {
			err = errors.Join(err, fmt.Errorf("exit status %d", r.status))
		}
		return errors.Join(err, r.has("agent", "", "skip", "none answers"), r.has("port", "", "pass", "the port is free"),
			r.has("vrrp", "node-b", "skip", "not known"), r.has("iam", "ec2:AssociateAddress", "pass", ""), r.has("haproxy", "stats", "pass", ""))
	})
}

// checkHealthy: a cluster in which all is well gets no complaint, and does not notice that it was examined.
func (c *clinic) checkHealthy() {
	before := c.settled()
	from := time.Now()
	for _, n := range c.nodes {
		c.until(func() error {
			r := c.examine(n, "")
			err := r.onlyWarns(nil)
			if r.status != 0 {
				err = errors.Join(err, fmt.Errorf("exit status %d", r.status))
			}
			return err
		})
	}
	master, backup := c.examine(c.nodes[0], ""), c.examine(c.nodes[1], "")
	for _, err := range []error{
		master.has("vrrp", "node-b", "pass", "it hears the adverts of this node"), master.has("port", "", "pass", "the agent has the port"),
		backup.has("vrrp", "node-a", "pass", "its adverts come here"), backup.has("vrrp", "node-c", "skip", "neither of the two is Master"),
		backup.has("agent", "", "pass", "Backup"), backup.has("address", "", "pass", "is with node-a"), backup.has("peers", "node-c", "pass", "its certificate is valid"),
	} {
		if err != nil {
			c.t.Error(err)
		}
	}
	if after := c.settled(); after.Term != before.Term || after.AssociationID() != before.AssociationID() {
		c.t.Errorf("the cluster was disturbed: %+v became %+v", before, after)
	}
	e := lab.Evidence{Injected: from, End: time.Now()}
	c.must(c.lab.Collect(&e))
	if i := slices.IndexFunc(e.Calls, func(call lab.Call) bool { return call.Mutating }); i >= 0 || len(e.Moves) > 0 {
		c.t.Errorf("an examination changed something: %+v, %+v", e.Calls, e.Moves)
	}
	if !slices.ContainsFunc(e.Calls, func(call lab.Call) bool { return call.Action == "AssociateAddress" }) {
		c.t.Error("EC2 was not asked by DryRun: nothing was tested")
	}
}

// checkFound: what is wrong is found by name, with a remedy, and nothing else is called a failure; cured, it is not found any more.
func (c *clinic) checkFound(a ailment) {
	node := c.nodes[a.node]
	config := ""
	if a.file != nil {
		config = c.write(node, "seeded.yaml", a.file(c, node))
	}
	cure := func() {}
	if a.harm != nil {
		cure = a.harm(c, node)
	}
	defer cure()
	var r report
	c.until(func() error {
		r = c.examine(node, config)
		return r.isAbout(a)
	})
	c.t.Log(r.line(a.check))
}
