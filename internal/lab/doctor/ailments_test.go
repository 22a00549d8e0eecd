package doctor

import (
	"crypto/x509"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/vnet"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// ailment is one thing that is wrong on a node, by its configuration file or by what is done to it, and what doctor must say.
type ailment struct {
	name string
	node int // 0 is Master
	// file returns the configuration file to examine, which the agent does not run with.
	file func(*clinic, *lab.Node) string
	// harm does something that the returned function undoes.
	harm func(*clinic, *lab.Node) (cure func())

	check, about, says string
	warns              bool // it is no failure
}

func (a ailment) severity() string {
	if a.warns {
		return "warn"
	}
	return "fail"
}

const backup, other = 1, 2

func ailments() []ailment {
	return append(append(awsAilments(), networkAilments()...), machineAilments()...)
}

func awsAilments() []ailment {
	return []ailment{
		{name: "the allocation id is wrong", node: backup, file: replaced(lab.AllocationID, "eipalloc-0123456789abcdef0"),
			check: "address", says: "does not exist"},
		{name: "IAM does not allow AssociateAddress", node: backup, harm: denied("AssociateAddress"),
			check: "iam", about: "ec2:AssociateAddress", says: "UnauthorizedOperation"},
		{name: "IAM does not allow DisassociateAddress", node: backup, harm: denied("DisassociateAddress"),
			check: "iam", about: "ec2:DisassociateAddress", says: "UnauthorizedOperation"},
		// The connection is made, and what carries data does not pass: to a client that is what a hop limit looks like.
		{name: "the hop limit of IMDS is too low", node: backup, harm: severed(func(c *clinic, n *lab.Node) vnet.Path {
			path := lab.IMDSPath(n.Name)
			path.Only = "tcp flags & psh == psh"
			return path
		}), check: "imds", says: "hop limit"},
		{name: "IMDS is not reached", node: backup, harm: severed(func(_ *clinic, n *lab.Node) vnet.Path { return lab.IMDSPath(n.Name) }),
			check: "imds", says: "takes no connection"},
		{name: "the credentials have expired", node: backup, harm: func(c *clinic, _ *lab.Node) func() {
			c.lab.StaleCredentials(true)
			return func() { c.lab.StaleCredentials(false) }
		}, check: "credentials", says: "expired at"},
		{name: "the private address is not on the interface", node: backup, file: replaced("aws: {", "aws: {private_ip: 10.20.0.99, "),
			check: "interface", says: "10.20.0.99"},
		{name: "another Elastic IP is with the target", node: backup, harm: func(c *clinic, n *lab.Node) func() {
			c.must(c.lab.PlaceOther(n))
			return func() { c.must(c.lab.FreeOther()) }
		}, check: "other-address", says: lab.OtherAllocationID},
		{name: "the clock is seven minutes off", node: backup, harm: func(c *clinic, _ *lab.Node) func() {
			c.lab.ShiftEC2Clock(7 * time.Minute)
			return func() { c.lab.ShiftEC2Clock(0) }
		}, check: "clock", says: "behind EC2's"},
		{name: "the second of two allocation ids is wrong", node: backup, file: withSecond("eipalloc-0123456789abcdef0"),
			check: "address", about: "eipalloc-0123456789abcdef0", says: "does not exist"},
		{name: "the interface lacks the second private address", node: backup, file: func(c *clinic, n *lab.Node) string {
			return strings.ReplaceAll(withSecond(lab.OtherAllocationID)(c, n), ".112]", ".99]")
		}, check: "interface", says: "10.20.0.99"},
		{name: "IAM does not allow DescribeInstances", node: backup, file: discovered("hacluster=lab"), harm: denied("DescribeInstances"),
			check: "discovery", about: "ec2:DescribeInstances", says: "UnauthorizedOperation"},
		{name: "the instance does not have the tag", node: backup, file: discovered("hacluster=lab"), check: "discovery", says: "does not have the tag"},
		{name: "EC2 is not reached", node: backup, harm: severed(func(_ *clinic, n *lab.Node) vnet.Path { return lab.EC2Path(n.Name) }),
			check: "ec2", says: "describe address"},
	}
}

func networkAilments() []ailment {
	toOther := func(only string) func(*clinic, *lab.Node) func() {
		return severed(func(c *clinic, n *lab.Node) vnet.Path {
			return vnet.Path{From: n.Name, To: c.nodes[other].Name, Only: only}
		})
	}
	fromMaster := severed(func(c *clinic, _ *lab.Node) vnet.Path {
		return vnet.Path{From: c.nodes[0].Name, To: c.nodes[backup].Name, Only: "ip protocol 112"}
	})
	return []ailment{
		{name: "a peer's port is filtered", node: backup, harm: toOther("tcp dport 7400"),
			check: "peers", about: "node-c", says: "nothing comes back"},
		{name: "protocol 112 is filtered on its way in", node: backup, harm: fromMaster,
			check: "vrrp", about: "node-a", says: "its adverts do not come here"},
		{name: "protocol 112 is filtered on its way out", node: 0, harm: fromMaster,
			check: "vrrp", about: "node-b", says: "node-b does not hear its adverts"},
		{name: "the certificate is another node's", node: backup, file: withCertificate(func(c *clinic, _ *lab.Node) pkitest.Pair {
			return c.authority.Node(c.t, "node-z", clusterName)
		}), check: "certificate", says: "node-z"},
		{name: "the certificate has expired", node: backup, file: withCertificate(func(c *clinic, n *lab.Node) pkitest.Pair {
			return c.authority.Forge(c.t, n.Name, clusterName, func(cert *x509.Certificate) {
				cert.NotBefore, cert.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
			})
		}), check: "certificate", says: "expired"},
		{name: "a stranger's authority signed the certificate", node: backup, file: func(c *clinic, n *lab.Node) string {
			dir := pkitest.Dir(n.File("tls-stranger"))
			stranger := pkitest.NewAuthority(c.t)
			c.makeDir(string(dir))
			dir.Trust(c.t, stranger)
			dir.Write(c.t, stranger.Node(c.t, n.Name, clusterName))
			return strings.ReplaceAll(c.config(n), n.File("tls")+"/", string(dir)+"/")
		}, check: "peers", about: "node-a", says: "no certificate authority that this node trusts"},
	}
}

func machineAilments() []ailment {
	return []ailment{
		{name: "HAProxy's stats socket is missing", node: backup, file: replaced("/run/haproxy/admin.sock", "/run/haproxy/nobody.sock"),
			check: "haproxy", about: "stats", says: "nobody.sock"},
		{name: "HAProxy is not in master-worker mode", node: other, harm: (*clinic).replaceHAProxy,
			check: "master-worker", says: "is not in master-worker mode", warns: true},
		{name: "the data directory is on a full file system", node: backup, file: dataDir("/run/full"),
			harm: mounted("/run/full", "size=256k", "dd if=/dev/zero of=/run/full/filler bs=64k || true"), check: "data-dir", says: "full"},
		{name: "the data directory is on a read-only file system", node: backup, file: dataDir("/run/frozen"),
			harm: mounted("/run/frozen", "ro", "true"), check: "data-dir", says: "mounted read-only"},
	}
}

// replaced changes a part of the configuration file.
func replaced(old, now string) func(*clinic, *lab.Node) string {
	return func(c *clinic, n *lab.Node) string {
		text := c.config(n)
		if !strings.Contains(text, old) {
			c.t.Fatalf("the configuration has no %q:\n%s", old, text)
		}
		return strings.ReplaceAll(text, old, now)
	}
}

// withSecond adds an Elastic IP, which belongs to the second private address of each node.
func withSecond(id string) func(*clinic, *lab.Node) string {
	return func(c *clinic, n *lab.Node) string {
		text := strings.ReplaceAll(c.config(n), "allocation_id: "+lab.AllocationID, "allocation_ids: ["+lab.AllocationID+", "+id+"]")
		for i, m := range c.nodes {
			text = strings.ReplaceAll(text, fmt.Sprintf("priority: %d}", m.Priority),
				fmt.Sprintf("priority: %d, private_ips: [%s, 10.20.0.%d]}", m.Priority, m.Address.Addr(), 111+i))
		}
		return text
	}
}

// discovered has a tag in place of the nodes.
func discovered(tag string) func(*clinic, *lab.Node) string {
	return func(c *clinic, n *lab.Node) string {
		head, rest, _ := strings.Cut(strings.Replace(c.config(n), "node: "+n.Name+"\n", "", 1), "nodes:")
		_, tail, _ := strings.Cut(rest, "tls: {")
		return head + "discovery: {tag: " + tag + "}\ntls: {" + tail
	}
}

func dataDir(dir string) func(*clinic, *lab.Node) string {
	return func(c *clinic, n *lab.Node) string { return strings.ReplaceAll(c.config(n), n.DataDir(), dir) }
}

// withCertificate makes a configuration file that names another pair.
func withCertificate(issue func(*clinic, *lab.Node) pkitest.Pair) func(*clinic, *lab.Node) string {
	return func(c *clinic, n *lab.Node) string {
		dir := pkitest.Dir(n.File("tls-seeded"))
		c.makeDir(string(dir))
		dir.Trust(c.t, c.authority)
		dir.Write(c.t, issue(c, n))
		return strings.ReplaceAll(c.config(n), n.File("tls")+"/", string(dir)+"/")
	}
}

func denied(action string) func(*clinic, *lab.Node) func() {
	return func(c *clinic, n *lab.Node) func() {
		c.must(c.lab.DisturbEC2([]ec2fake.Fault{{Kind: ec2fake.Deny, Action: action, Caller: n.Instance}}))
		return func() { c.must(c.lab.DisturbEC2(nil)) }
	}
}

func severed(path func(*clinic, *lab.Node) vnet.Path) func(*clinic, *lab.Node) func() {
	return func(c *clinic, n *lab.Node) func() {
		c.must(c.lab.Sever([]vnet.Path{path(c, n)}))
		return func() { c.must(c.lab.Sever(nil)) }
	}
}

// mounted gives the node a file system of its own and runs something in it.
func mounted(dir, options, then string) func(*clinic, *lab.Node) func() {
	return func(c *clinic, n *lab.Node) func() {
		c.run(n, "/bin/sh", "-c", "mkdir "+dir+" && mount -t tmpfs -o "+options+" tmpfs "+dir+" && { "+then+"; }")
		return func() { c.run(n, "/bin/sh", "-c", "umount "+dir+" && rmdir "+dir) }
	}
}

// replaceHAProxy stops the node's HAProxy and starts one without a master.
func (c *clinic) replaceHAProxy(n *lab.Node) func() {
	c.swap(n, lab.HAProxy, solo)
	return func() { c.swap(n, solo, lab.HAProxy) }
}

func (c *clinic) swap(n *lab.Node, from, to string) {
	c.t.Helper()
	_, err := n.Signal(from, host.Leader, syscall.SIGTERM)
	c.must(err)
	c.until(func() error { return c.gone(n, from) })
	c.must(n.Start(to))
}
