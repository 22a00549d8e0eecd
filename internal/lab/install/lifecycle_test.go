package install

import (
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// upgrades puts the same package over itself on the node that holds the address: one orderly restart, as by hand, and what the operator
// wrote stays.
func (s *site) upgrades() {
	byHand := s.movesOf(func(m *machine) { m.run("systemctl restart hacluster") })
	byPackage := s.movesOf(func(m *machine) {
		m.run("systemctl disable hacluster && systemctl enable hacluster") // of which nothing may be lost
		before := m.run(content)
		first := m.run("systemctl show --property=InvocationID --value hacluster")
		m.run("dpkg --install hacluster_*.deb")
		if after := m.run(content); after != before {
			m.t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		if again := m.run("systemctl show --property=InvocationID --value hacluster"); again == first {
			m.t.Error("the old program goes on")
		}
		if state, _ := m.try("systemctl is-enabled hacluster"); state != "enabled" {
			m.t.Errorf("the service is %s after an upgrade", state)
		}
		if starts := m.run("journalctl --no-pager --quiet --unit=hacluster --since=-1min | grep -c 'Stopping hacluster.service' || true"); starts == "0" {
			m.t.Error("the agent was not stopped in an orderly way")
		}
	})
	if byPackage > byHand {
		s.t.Errorf("an upgrade moved the address %d times, a restart %d times", byPackage, byHand)
	}
	stopped := s.bystander()
	stopped.run("systemctl stop hacluster; dpkg --install hacluster_*.deb")
	if state, _ := stopped.try("systemctl is-active hacluster"); state != "inactive" {
		s.t.Errorf("a stopped service is %s after an upgrade", state)
	}
	stopped.run("systemctl start hacluster")
	s.settled()
}

// content is all that the operator and the agent have put there.
const content = `find /etc/hacluster -type f -exec sha256sum {} + ; stat --format='%a %U:%G %n' /etc/hacluster /etc/hacluster/* /etc/hacluster/tls/* /var/lib/hacluster`

// movesOf does something to the holder and returns how often the address moved until all was settled.
func (s *site) movesOf(change func(*machine)) int {
	s.t.Helper()
	holder := s.settled()
	before := s.changes.Load()
	change(holder)
	s.settled()
	return int(s.changes.Load() - before)
}

// files lists all that a package could leave behind, with owners and modes.
func (m *machine) files() []string {
	m.t.Helper()
	return strings.Split(m.run(`find /etc /usr/bin /usr/lib/systemd /usr/lib/sysusers.d /usr/local/bin /usr/share/man/man1 /usr/share/doc \
  /usr/share/bash-completion /usr/share/zsh /usr/share/fish /run /var/lib -xdev \
  \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /run/systemd -o -path /run/log -o -path '/run/haproxy*' -o -path /var/lib/haproxy \) -prune \
  -o -printf '%p %m %u %g\n' 2>/dev/null | sort`), "\n")
}

// isPurged: nothing is left but the user.
func (m *machine) isPurged(before []string) {
	m.run("rm -f /usr/local/bin/check-haproxy")
	m.run("dpkg --remove hacluster")
	if out, err := m.try("systemctl is-active hacluster"); err == nil {
		m.t.Errorf("after 'remove' the service is %s", out)
	}
	m.run("test -e /etc/hacluster/hacluster.yaml; test -e /etc/hacluster/tls/node.key; test -e /var/lib/hacluster/raft") // until 'purge'
	m.run("dpkg --purge hacluster")
	if left := leftovers(before, m.files()); len(left) > 0 {
		m.t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	if out := m.run("getent shadow hacluster-agent"); !strings.HasPrefix(out, "hacluster-agent:!") {
		m.t.Errorf("the user that stays: %s", out)
	}
}

// leftovers returns what is in after and not in before. Copies that user management makes of its files do not count.
func leftovers(before, after []string) []string {
	var left []string
	for _, file := range after {
		path, _, _ := strings.Cut(file, " ")
		if !slices.Contains(before, file) && !slices.Contains([]string{"/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-"}, path) {
			left = append(left, file)
		}
	}
	return left
}

// TestWithoutSystemd: in an image that is being built there is no systemd to talk to.
func TestWithoutSystemd(t *testing.T) {
	sandboxtest.Need(t)
	s := newSite(t).withEC2()
	m := s.boot("image", "/bin/sleep", "infinity")
	m.bring(s.pkg)
	before := m.files()
	m.run("dpkg --install hacluster_*.deb")
	m.hasWhatIsShipped()
	m.run("systemctl enable hacluster") // as image builders do
	m.run("echo '# mine' >>/etc/hacluster/environment; dpkg --install hacluster_*.deb; grep '^# mine' /etc/hacluster/environment")
	m.run("dpkg --remove hacluster; dpkg --install hacluster_*.deb; grep '^# mine' /etc/hacluster/environment")
	m.run("dpkg --purge hacluster; dpkg --install hacluster_*.deb; ! grep '^# mine' /etc/hacluster/environment") // the user is there already
	m.run("dpkg --purge hacluster")
	if left := leftovers(before, m.files()); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}
