package install

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/tfcheck"
)

// cloud is a site whose machines are Terraform's: what Terraform would make is there, and the machines are Debian's image.
type cloud struct {
	*site
	*internet
	account *account
	web     *authority // of AWS's own names
	own     *authority // of the cluster
	program tfcheck.Program
}

// TestCloudInit gives three machines what Terraform ships, the way EC2 does: the rendered user data goes to Debian's cloud-init, which
// installs packages, writes files and runs the bootstrap script; that fetches the program and the keys with the role of its node, and may do
// what the rendered policy allows and nothing else. What comes out must be a cluster that clients reach by the Elastic IP.
func TestCloudInit(t *testing.T) {
	c := newCloud(t)
	rendered := c.render()
	c.makeImage()
	c.launch(func(node string) string { return rendered[node].UserData[node] })
	c.runCloudInit()
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"the machines", c.isAsWritten},
		{"the clients", c.serves},
		{"HAProxy dies", c.failsOver},
		{"new certificates", c.renews},
		{"the lab's own test", c.isWalked},
		{"the permissions", c.isConfined},
		{"nodes that find one another", c.findsOneAnother},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			c.speakTo(t)
			defer c.speakTo(c.parent)
			part.run()
		})
		if !ok {
			c.tellCloudInit()
			return
		}
	}
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{site: newSite(t), web: newAuthority(t, "lab"), own: newAuthority(t, "hacluster "+clusterName)}
	mirror := os.Getenv(debs)
	if mirror == "" {
		c.missing(debs + " is not set: 'make dist-test' sets it")
	}
	var webs []string
	for i := 1; i <= webServers; i++ {
		webs = append(webs, webAddress(i).String()+"/24")
	}
	c.openNetwork(webs...)
	c.internet = c.openInternet()
	c.account = newAccount(c.gateway)
	c.openEC2(ec2fake.Config{Region: region, Account: accountID, FaultsOf: c.account.judge, OnChange: c.account.follow,
		AccessKeys: []ec2fake.AccessKey{{ID: personsKey, Secret: personsSecret}}})
	c.account.ec2 = c.ec2.EC2()
	c.serve(ec2Address, 443, c.web.server(t, ec2Host, ssmHost, everyBucket, packageHost), c.account)
	c.serveWebs()
	c.serveNames()
	c.serveMirror(mirror)
	return c
}

// missing ends a test that cannot run here: loudly, and in CI as a failure.
func (s *site) missing(what string) {
	s.t.Helper()
	if os.Getenv("CI") == "true" {
		s.t.Fatal(what)
	}
	s.t.Skip("NOT TESTED: " + what)
}

// isAsWritten: names, files and services are what the templates say.
func (c *cloud) isAsWritten() {
	c.settled()
	for _, m := range c.machines {
		if name := m.run("hostname; cat /etc/hostname"); name != m.name+"\n"+m.name {
			c.t.Errorf("%s is called %q", m.name, name)
		}
		if state := m.run("systemctl is-enabled haproxy hacluster"); state != "enabled\nenabled" {
			c.t.Errorf("%s: haproxy and hacluster after the next boot: %q", m.name, state)
		}
		want := "600 hacluster-agent:hacluster-agent /etc/hacluster/tls/node.key"
		if got := m.run("stat --format='%a %U:%G %n' /etc/hacluster/tls/node.key"); got != want {
			c.t.Errorf("%s: %s, want %s", m.name, got, want)
		}
		program := "/usr/local/bin/hacluster"
		if m.name == packaged {
			program = "/usr/bin/hacluster"
		}
		if got := m.run("readlink /proc/$(systemctl show --property=MainPID --value hacluster)/exe"); got != program {
			c.t.Errorf("%s runs %s, want %s", m.name, got, program)
		}
	}
}

// serves: clients reach all web servers by the Elastic IP, over HTTP and HTTPS, and the holder says so.
func (c *cloud) serves() {
	holder := c.settled()
	name := holder.run("hostname")
	seen := map[string]bool{}
	for _, url := range []string{"http://" + elasticIP + "/", "https://" + elasticIP + "/"} {
		await(c.t, url, func() error {
			out, err := c.get(c.t, url)
			if err == nil && !strings.Contains(strings.ToLower(out), "x-served-by: "+name+"\r\n") {
				err = errors.New("not from " + name)
			}
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			seen[out[strings.LastIndex(out, "\n\r\n")+3:]] = true
			if len(seen) < webServers {
				return fmt.Errorf("only %d web servers so far", len(seen))
			}
			return nil
		})
	}
}

// failsOver kills HAProxy on the holder. Another node must serve, and what clients noticed is told.
func (c *cloud) failsOver() {
	holder := c.settled()
	await(c.t, "a second without a failed request", c.clean)
	begin := time.Now()
	holder.run("systemctl kill --signal=KILL haproxy; systemctl stop haproxy") // or systemd would start it anew
	var next netip.Addr
	await(c.t, "another holder", func() error {
		next = c.ec2.State().Addresses[0].PrivateIP
		if !next.IsValid() || next == c.address(holder) {
			return fmt.Errorf("the address is at %v", next)
		}
		return nil
	})
	await(c.t, "a second without a failed request", c.clean)
	var longest time.Duration
	for _, o := range probe.Outages(c.probes.Between(begin, time.Now())) {
		longest = max(longest, o.Length(time.Now()))
	}
	c.t.Logf("%s dies, %v takes over: clients were not served for %v", holder.name, next, longest)
	holder.run("systemctl start haproxy")
	c.serves()
}

// address returns the address of a machine.
func (c *cloud) address(m *machine) netip.Addr { return nodeAddress(slices.Index(c.machines, m) + 1) }

func (c *cloud) clean() error {
	if !c.probes.Clean(time.Second) {
		return errors.New("some requests fail")
	}
	return nil
}

// renews follows docs/AWS.md, "Certificates": a new one is in the parameters, and the bootstrap script is run again.
func (c *cloud) renews() {
	m := c.bystander()
	want := c.certify(m.name)
	m.run("/usr/local/sbin/hacluster-bootstrap")
	if got := m.run("cat /etc/hacluster/tls/node.crt"); got != strings.TrimSpace(want) {
		c.t.Errorf("%s still has\n%s", m.name, got)
	}
	c.settled()
}

// isConfined: the policies allowed all that was done; and that they were asked is seen by what they refuse.
func (c *cloud) isConfined() {
	for _, m := range c.machines {
		made := c.allowedCalls(m)
		for _, action := range []string{"ec2:DescribeAddresses", "s3:GetObject", "ssm:GetParameter"} {
			asked := made[action]
			if wants := action != "s3:GetObject" || m.name != packaged; asked != wants {
				c.t.Errorf("%s calls %s: %v, want %v", m.name, action, asked, wants)
			}
		}
	}
	out, err := c.machines[0].try("aws ssm get-parameter --region " + region + " --with-decryption --name " + parameterPath + "/lb-2/key")
	if err == nil || !strings.Contains(out, "AccessDenied") {
		c.t.Errorf("lb-1 reads the key of lb-2: %v: %s", err, out)
	}
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	must(c.t, c.account.broken)
}

// allowedCalls returns the actions that a machine called. None may have been denied.
func (c *cloud) allowedCalls(m *machine) map[string]bool {
	c.t.Helper()
	made := map[string]bool{}
	for call, times := range c.account.calls(c.address(m)) {
		made[call.action] = true
		if !call.allowed {
			c.t.Errorf("%s was denied %s on %s, %d times", m.name, call.action, call.resource, times)
		}
	}
	return made
}

// findsOneAnother ends the machines and starts others whose nodes are found by their tag: named by EC2, all with one role, each with a certificate that it
// made for itself.
func (c *cloud) findsOneAnother() {
	for _, m := range c.machines {
		must(c.t, m.host.Kill())
	}
	c.machines = nil
	c.account.forget()
	rendered := c.renderFound()
	c.launch(func(string) string { return rendered.UserData[tfcheck.Found] })
	for i, m := range c.machines {
		m.name = instanceID(i + 1)
	}
	c.runCloudInit()
	c.serves()
	c.failsOver()
	for _, m := range c.machines {
		if made := c.allowedCalls(m); !made["ec2:DescribeInstances"] {
			c.t.Errorf("%s never looked for the others: %v", m.name, made)
		}
		if left := m.run("find /etc /run /tmp /var/lib/hacluster -name 'ca.key' -o -name 'ca-key'"); left != "" {
			c.t.Errorf("%s still has the authority's key: %s", m.name, left)
		}
	}
}
