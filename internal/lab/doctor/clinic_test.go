package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

const (
	// soon is far more than anything here takes.
	soon         = 40 * time.Second
	pollInterval = 100 * time.Millisecond

	clusterName = "lab"
	configFile  = "agent.yaml"
	solo        = "haproxy-solo" // the name of a HAProxy without a master
)

// clinic is the lab as one test uses it. Its methods fail the test.
type clinic struct {
	t         *testing.T
	ctx       context.Context
	lab       *lab.Lab
	hacluster string
	nodes     []*lab.Node
	authority *pkitest.Authority
}

// newClinic gives every node a configuration and a certificate.
func newClinic(ctx context.Context, t *testing.T, l *lab.Lab, hacluster string) *clinic {
	c := &clinic{t: t, ctx: ctx, lab: l, hacluster: hacluster, nodes: l.Nodes(), authority: pkitest.NewAuthority(t)}
	for _, n := range c.nodes {
		dir := pkitest.Dir(n.File("tls"))
		c.makeDir(string(dir))
		dir.Trust(t, c.authority)
		dir.Write(t, c.authority.Node(t, n.Name, clusterName))
		c.write(n, configFile, c.config(n))
	}
	return c
}

// with makes a subtest of a method.
func (c *clinic) with(test func(*clinic)) func(*testing.T) {
	return func(t *testing.T) {
		own := *c
		own.t = t
		test(&own)
	}
}

func (c *clinic) config(n *lab.Node) string {
	var members strings.Builder
	for _, m := range c.nodes {
		fmt.Fprintf(&members, "\n  - {name: %s, address: \"%s:7400\", priority: %d}", m.Name, m.Address.Addr(), m.Priority)
	}
	tls := pkitest.Dir(n.File("tls"))
	return fmt.Sprintf(`cluster: {name: %s}
node: %s
data_dir: %s
nodes:%s
tls: {ca: %s, cert: %s, key: %s}
eip: {allocation_id: %s}
aws: {endpoint: "%s"}
health:
  process: {name: haproxy}
  stats: {socket: /run/haproxy/admin.sock}
  http: {url: "http://127.0.0.1:80/healthz"}
# A busy machine has no election: that one was caused by an examination is what is looked for.
raft: {heartbeat_timeout: 5s, election_timeout: 5s, leader_lease_timeout: 5s, evidence_max_age: 2s, hints: false}
admin: {socket: /run/hacluster/admin.sock}
`, clusterName, n.Name, n.DataDir(), members.String(), tls.CA(), tls.Cert(), tls.Key(), lab.AllocationID, lab.Endpoint(false))
}

// startAgents starts them all and waits until the first node is Master.
func (c *clinic) startAgents() {
	c.t.Helper()
	for _, n := range c.nodes {
		c.must(n.Start(lab.Agent))
	}
	c.until(func() error {
		s, err := c.lab.AwaitSteady(c.ctx, soon)
		if err == nil && s.Holder != c.nodes[0].Name {
			err = errors.Join(fmt.Errorf("%s holds", s.Holder), c.nodes[0].Transfer(c.ctx, c.nodes[0].Name))
		}
		return err
	})
}

// settled waits until all agree.
func (c *clinic) settled() lab.Status {
	c.t.Helper()
	s, err := c.lab.AwaitSteady(c.ctx, soon)
	c.must(err)
	return s
}

// examine runs hacluster doctor on a node; an empty config is the agent's.
func (c *clinic) examine(n *lab.Node, config string) report {
	c.t.Helper()
	if config == "" {
		config = n.File(configFile)
	}
	stdout, stderr, status, err := n.Exec(c.ctx, nil, c.hacluster, "doctor", "--config", config, "-o", "json")
	c.must(err)
	r := report{status: status}
	if err := json.Unmarshal(stdout, &r); err != nil {
		c.t.Fatalf("doctor printed no report: %v\n%s%s", err, stdout, stderr)
	}
	return r
}

// run runs a command on the node that must succeed.
func (c *clinic) run(n *lab.Node, argv ...string) {
	c.t.Helper()
	stdout, stderr, status, err := n.Exec(c.ctx, nil, argv...)
	c.must(err)
	if status != 0 {
		c.t.Fatalf("%q on %s: exit status %d: %s%s", argv, n.Name, status, stdout, stderr)
	}
}

func (c *clinic) gone(n *lab.Node, process string) error {
	running, err := n.Running(process)
	if err == nil && running {
		err = fmt.Errorf("%s still runs on %s", process, n.Name)
	}
	return err
}

// until polls check, and fails the test with its last word if it does not succeed soon.
func (c *clinic) until(check func() error) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); {
		if err = check(); err == nil {
			return
		}
		select {
		case <-c.ctx.Done():
			c.t.Fatal(c.ctx.Err())
		case <-time.After(pollInterval):
		}
	}
	c.t.Fatal(err)
}

func (c *clinic) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// write makes a file in the node's directory and returns its path.
func (c *clinic) write(n *lab.Node, name, text string) string {
	c.t.Helper()
	path := n.File(name)
	c.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (c *clinic) makeDir(dir string) {
	c.t.Helper()
	c.must(os.MkdirAll(dir, 0o700))
}

// soloHAProxy is the node's HAProxy without -W. It is started by those that want it.
func soloHAProxy(n *lab.Node) lab.Program {
	return lab.Program{Name: solo, Argv: []string{"/usr/sbin/haproxy", "-db", "-f", n.File("haproxy.cfg"), "-p", "/run/haproxy.pid"}, Manual: true}
}
