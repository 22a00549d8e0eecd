package interop

import (
	"bytes"
	"net/netip"
	"regexp"
	"text/template"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// privateVIP is an address that keepalived 2.2.7 demands for VRRPv3 and nobody uses.
var privateVIP = netip.MustParseAddr("169.254.51.51")

// recipe is a keepalived.conf for a node that is no member of the cluster.
const recipe = `global_defs {
  router_id {{.Node.Name}}
}
vrrp_instance VI_1 {
  state {{.State}}
  interface eth0
  virtual_router_id 51
  priority {{.Priority}}
  version {{.Dialect.Version}}
  advert_int {{.Dialect.Seconds}}
  unicast_src_ip {{.Node.Address.Addr}}
  unicast_peer {
{{- range .Members}}
    {{.Address.Addr}}
{{- end}}
  }
{{- with .Dialect.Password}}
  authentication {
    auth_type PASS
    auth_pass {{.}}
  }
{{- end}}
{{- with .Dialect.Address}}
  virtual_ipaddress {
    {{.}}/32 dev lo
  }
{{- end}}
}
`

// agentConfig is hacluster's side.
const agentConfig = `cluster: {name: interop}
node: {{.Node.Name}}
data_dir: {{.DataDir}}
nodes:
{{- range $i, $member := .Members}}
  - {name: {{.Name}}, address: "{{.Address.Addr}}:7400", priority: {{index $.Priorities $i}}}
{{- end}}
insecure: true
eip: {allocation_id: {{.AllocationID}}}
aws: {endpoint: "{{.Endpoint}}"}
# A busy machine has no election: what is looked at is who else may be Master.
raft: {heartbeat_timeout: 2s, election_timeout: 2s, leader_lease_timeout: 2s, evidence_max_age: 1s}
vrrp:
  virtual_router_id: 51
  version: {{.Dialect.Version}}
  advertisement_interval: {{.Dialect.Interval}}
  extra_peers: [{{.Extra}}]
{{- with .Dialect.Password}}
  auth_pass: {{.}}
{{- end}}
{{- with .Dialect.Named}}
  addresses: [{{.}}]
{{- end}}
health:
  process: {name: haproxy}
  stats: {socket: /run/haproxy/admin.sock}
  http: {url: "http://127.0.0.1:80/healthz"}
`

// dialect is how keepalived and hacluster are told to speak to one another.
type dialect struct {
	name     string
	version  int
	interval time.Duration
	password string
	address  netip.Addr // keepalived's virtual_ipaddress; the zero Addr: none
	named    netip.Addr // hacluster's vrrp.addresses, likewise
}

// The dialect for the templates.
func (d dialect) Version() int            { return d.version }
func (d dialect) Interval() time.Duration { return d.interval }
func (d dialect) Seconds() float64        { return d.interval.Seconds() }
func (d dialect) Password() string        { return d.password }
func (d dialect) Address() string         { return text(d.address) }
func (d dialect) Named() string           { return text(d.named) }

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// keepalivedPriority is lower than every member's, unless keepalived is to be a foreign master.
const keepalivedPriority = 100

// skew is keepalived's, for its priority: in VRRPv2 part of a second, in VRRPv3 part of the interval (RFC 9568 section 6.1).
func (d dialect) skew() time.Duration {
	unit := time.Second
	if d.version == 3 {
		unit = d.interval
	}
	return (256 - keepalivedPriority) * unit / 256
}

// down is Master_Down_Interval.
func (d dialect) down() time.Duration { return 3*d.interval + d.skew() }

// agent configures hacluster on a member, without a past.
func (s *stage) agent(n *lab.Node, d dialect) lab.Program {
	s.t.Helper()
	text := s.render(agentConfig, map[string]any{
		"Node": n, "Members": s.members, "Dialect": d, "Extra": address(s.fourth),
		"Priorities": []int{150, 120, 110}, "DataDir": n.DataDir() + "-" + d.name, "AllocationID": lab.AllocationID, "Endpoint": lab.Endpoint(false),
	})
	return n.HaclusterWith(s.write(n, d.name+".yaml", text, 0o600))
}

// keepalived configures the keepalived of the fourth node. It is started by hand.
func (s *stage) keepalived(d dialect, state string, priority int) lab.Program {
	s.t.Helper()
	text := s.render(recipe, map[string]any{
		"Node": s.fourth, "Members": s.members, "Dialect": d, "State": state, "Priority": priority,
	})
	return keepalivedProgram(s.write(s.fourth, d.name+".conf", text, 0o600))
}

func keepalivedProgram(config string) lab.Program {
	key := lab.PersonsKey()
	return lab.Program{
		Name: keepalived, Manual: true,
		Argv: []string{"/usr/sbin/keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", config},
		// What it starts inherits this.
		Env: []string{"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AWS_MAX_ATTEMPTS=1"},
	}
}

// cast boots hacluster on the members and prepares the fourth node's keepalived.
func (s *stage) cast(d dialect, state string, priority int) {
	s.t.Helper()
	s.boot(func(n *lab.Node) []lab.Program {
		if n == s.fourth {
			return []lab.Program{s.keepalived(d, state, priority)}
		}
		return []lab.Program{s.agent(n, d)}
	})
	s.settle()
}

func (s *stage) render(text string, data map[string]any) string {
	s.t.Helper()
	tmpl, err := template.New("file").Parse(text)
	s.must(err)
	var out bytes.Buffer
	s.must(tmpl.Execute(&out, data))
	return out.String()
}

// refusal is how keepalived says that it does not accept a packet (vrrp_check_packet).
var refusal = regexp.MustCompile(`(?im)^.*(invalid|unexpected|mismatch|bogus|wrong|expect|too short|too long|not present|unknown).*$`)

// unaccepted is how hacluster says it.
var unaccepted = regexp.MustCompile(`(?m)^.*VRRP packets of .* are not accepted.*$`)

// checkAccepted fails the test unless each side took every packet of the other.
func (s *stage) checkAccepted() {
	s.t.Helper()
	if lines := refusal.FindAllString(s.log(s.fourth, keepalived), -1); len(lines) > 0 {
		s.t.Errorf("keepalived refuses packets: %q", lines)
	}
	for _, n := range s.members {
		if lines := unaccepted.FindAllString(s.log(n, lab.Agent), -1); len(lines) > 0 {
			s.t.Errorf("hacluster on %s refuses packets: %q", n.Name, lines)
		}
	}
}
