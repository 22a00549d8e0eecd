package install

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInstallation goes from the package to a cluster and to the end of it, by the commands of docs/INSTALL.md. Each part begins where the
// one before has ended.
func TestInstallation(t *testing.T) {
	s := newSite(t).withEC2()
	nodes := s.cluster()
	before := nodes[2].files()
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"the package", s.installs},
		{"a cluster", s.becomesACluster},
		{"the process is closed in", nodes[0].isClosedIn},
		{"who may use the command line", nodes[0].letsItsGroupIn},
		{"the checks", s.checksWork},
		{"the hooks", s.hooksWork},
		{"what is forgotten", nodes[1].saysWhatWasForgotten},
		{"the watchdog", nodes[1].watchdogBites},
		{"an upgrade", s.upgrades},
		{"the end", func() { nodes[2].isPurged(before) }},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			s.speakTo(t)
			defer s.speakTo(s.parent)
			part.run()
		})
		if !ok {
			return
		}
	}
}

func (s *site) installs() {
	s.followSection("1. The package")
	for _, m := range s.machines {
		if state, _ := m.try("systemctl is-enabled hacluster"); state != "disabled" {
			s.t.Errorf("%s: the service is %s, want disabled until somebody asks", m.name, state)
		}
		if state, _ := m.try("systemctl is-active hacluster"); state != "inactive" {
			s.t.Errorf("%s: the service is %s, want inactive: there is no configuration yet", m.name, state)
		}
	}
	s.machines[0].hasWhatIsShipped()
}

// hasWhatIsShipped uses each part of the package once.
func (m *machine) hasWhatIsShipped() {
	m.t.Helper()
	installed := m.run("dpkg-query --show --showformat='${Version}' hacluster")
	if out := m.run("hacluster version"); !regexp.MustCompile(`commit [0-9a-f]{12}`).MatchString(out) || !strings.Contains(out, "hacluster "+installed+" ") {
		m.t.Errorf("version of package %s: %s", installed, out)
	}
	if out := m.run("hacluster config check --node lb-1 /usr/share/doc/hacluster/examples/hacluster.yaml"); !strings.Contains(out, "ok: cluster edge-1") {
		m.t.Errorf("the example: %s", out)
	}
	for _, topic := range []string{"hacluster", "hacluster-agent", "hacluster-tls-cert-create"} {
		if out := m.run("man --path " + topic); out != "/usr/share/man/man1/"+topic+".1.gz" {
			m.t.Errorf("man page of %s: %s", topic, out)
		}
	}
	if out := m.run("bash -c '. /usr/share/bash-completion/completions/hacluster; complete -p hacluster'"); !strings.Contains(out, "__start_hacluster") {
		m.t.Errorf("completion: %s", out)
	}
	want := "750 root:hacluster-agent /etc/hacluster\n600 root:root /etc/hacluster/environment\n700 hacluster-agent:hacluster-agent /var/lib/hacluster"
	if diff := cmp.Diff(want, m.run("stat --format='%a %U:%G %n' /etc/hacluster /etc/hacluster/environment /var/lib/hacluster")); diff != "" {
		m.t.Errorf("who may what (-want +got):\n%s", diff)
	}
	if out := m.run("getent passwd hacluster-agent"); !strings.HasSuffix(out, ":/var/lib/hacluster:/usr/sbin/nologin") {
		m.t.Errorf("user: %s", out)
	}
	if out, _ := m.try("dpkg --listfiles hacluster | grep -e -lab -e '^/usr/local' -e '^/etc/systemd'"); out != "" {
		m.t.Errorf("in the package, although it is not for nodes:\n%s", out)
	}
}

// followSection does the steps below one heading of the page.
func (s *site) followSection(heading string) {
	s.t.Helper()
	for _, st := range steps(s.t) {
		if st.heading == heading {
			s.follow(st)
		}
	}
}

func (s *site) becomesACluster() {
	for _, m := range s.machines {
		// In place of the region's public endpoint, which is not here.
		m.run("echo AWS_ENDPOINT_URL_EC2=http://10.0.0.2 >>/etc/hacluster/environment")
	}
	for _, st := range steps(s.t) {
		if st.heading != "1. The package" {
			s.follow(st)
		}
	}
	holder := s.settled()
	if s.ec2.State().Addresses[0].AssociationID == "" {
		s.t.Errorf("%s says that it holds the address, EC2 says nobody does", holder.name)
	}
	for _, m := range s.machines {
		if out := m.run("systemctl show --property=Type,NRestarts,User hacluster | sort"); out != "NRestarts=0\nType=notify\nUser=hacluster-agent" {
			s.t.Errorf("%s: %s", m.name, out)
		}
	}
}

// status is what is read of 'hacluster status -o json'.
type status struct {
	State     string `json:"state"`
	Holder    string `json:"holder"`
	Addresses []struct {
		Confirmed bool `json:"confirmed"`
	} `json:"addresses"`
	Healthy bool   `json:"healthy"`
	Health  string `json:"health"`
	Ready   bool   `json:"ready"`
	Nodes   []struct {
		Name    string `json:"name"`
		Healthy bool   `json:"healthy"`
	} `json:"nodes"`
}

func (m *machine) status() (status, error) {
	out, err := m.try("hacluster status -o json")
	if err != nil && !strings.HasPrefix(out, "{") { // otherwise it is an answer: something needs attention
		return status{}, fmt.Errorf("%w: %s", err, out)
	}
	var s status
	err = json.Unmarshal([]byte(out), &s)
	return s, err
}

// settled waits until every node is ready and agrees on a holder, and returns it.
func (s *site) settled() *machine {
	s.t.Helper()
	var holder string
	for _, m := range s.machines {
		m.await("a settled cluster", func() error {
			now, err := m.status()
			switch {
			case err != nil:
				return err
			case !now.Ready || now.Holder == "" || len(now.Addresses) != 1 || !now.Addresses[0].Confirmed:
				return fmt.Errorf("%+v", now)
			case len(now.Nodes) != 3 || !now.Nodes[0].Healthy || !now.Nodes[1].Healthy || !now.Nodes[2].Healthy:
				return fmt.Errorf("not all are healthy: %+v", now.Nodes)
			}
			holder = now.Holder
			return nil
		})
	}
	i := slices.IndexFunc(s.machines, func(m *machine) bool { return m.name == holder })
	if i < 0 {
		s.t.Fatalf("the holder is %q", holder)
	}
	return s.machines[i]
}

// isClosedIn asks the kernel what the running process may do.
func (m *machine) isClosedIn() {
	pid := m.run("systemctl show --property=MainPID --value hacluster")
	const netRaw = "0000000000002000"
	status := m.run("cat /proc/" + pid + "/status")
	for _, want := range []string{"CapEff:\t" + netRaw, "CapPrm:\t" + netRaw, "CapBnd:\t" + netRaw, "CapAmb:\t" + netRaw, "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			m.t.Errorf("no %q in\n%s", want, status)
		}
	}
	if out := m.run("stat --format='%a %U:%G' /run/hacluster/admin.sock"); out != "660 hacluster-agent:hacluster-agent" {
		m.t.Errorf("admin socket: %s", out)
	}
	if out := m.run("ss --listening --tcp --udp --numeric --no-header --processes | grep hacluster | awk '{print $5}' | sort"); out != "10.0.0.11:7400\n127.0.0.1:7460" {
		m.t.Errorf("it listens at %s", out)
	}
}

func (m *machine) letsItsGroupIn() {
	m.run("useradd --no-create-home jo; usermod --append --groups hacluster-agent jo")
	m.run("runuser -u jo -- hacluster status || [ $? = 1 ]") // 1: it answers that something needs attention
	out, err := m.try("runuser -u nobody -- hacluster status")
	if err == nil || !strings.Contains(out, "admin.group") {
		m.t.Errorf("a stranger is told: %v: %s", err, out)
	}
}
