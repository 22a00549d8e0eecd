package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"text/template"
)

// haproxyConfig is one node's HAProxy: nothing in it is special to hacluster but the stats socket and monitor-uri.
const haproxyConfig = `global
	nbthread 1
	maxconn 2000
	stats socket /run/haproxy/admin.sock mode 600 level admin
	log stdout format raw local0 notice

defaults
	mode http
	log global
	timeout connect 1s
	timeout client 10s
	timeout server 10s

frontend public
	bind :80
	monitor-uri /healthz
	http-after-response set-header {{.NodeHeader}} {{.Node.Name}}
	default_backend web

backend web
	balance roundrobin
	option httpchk GET /
	default-server check inter 1s
{{- range .Webs}}
	server {{.Name}} {{.Address.Addr}}:80
{{- end}}
`

// agentConfig says what must be said; everything else is hacluster's default, because that is what is measured.
const agentConfig = `{{with .Setup.Profile}}profile: {{.}}
{{end}}cluster:
  name: lab
node: {{.Node.Name}}
data_dir: {{.DataDir}}
nodes:
{{- range .Nodes}}
  - name: {{.Name}}
    address: {{.Address.Addr}}:{{$.RaftPort}}
    priority: {{.Priority}}
{{- end}}
{{with .Setup.Certificates -}}
tls: {ca: {{.}}/ca.crt, cert: {{.}}/node.crt, key: {{.}}/node.key}
{{- else -}}
insecure: true
{{- end}}
eip:
  allocation_id: {{.AllocationID}}
{{- with .Setup.Fencing}}
  fencing: {{.}}
{{- end}}
{{- with .Setup.ObserveInterval}}
  observe_interval: {{.}}
{{- end}}
{{- with .Setup.SnapshotThreshold}}
raft:
  snapshot_threshold: {{.}}
  trailing_logs: {{.}}
{{- end}}
aws:
  endpoint: {{.Endpoint}}
health:
  process:
    name: haproxy
  stats:
    socket: /run/haproxy/admin.sock
  http:
    url: http://127.0.0.1:80/healthz
admin:
  socket: {{.AdminSocket}}
`

// configure writes one configuration file of the node.
func (n *Node) configure(name, text string, setup Setup) error {
	tmpl, err := template.New(name).Parse(text)
	var out bytes.Buffer
	if err == nil {
		err = tmpl.Execute(&out, map[string]any{
			"Node": n.site, "Nodes": n.named(setup.Members), "Webs": webSites(), "DataDir": n.dataDir(setup), "Setup": setup,
			"NodeHeader": nodeHeader, "RaftPort": raftPort, "AllocationID": AllocationID,
			"Endpoint": Endpoint(setup.TLS), "AdminSocket": adminSocket,
		})
	}
	if err == nil {
		err = os.WriteFile(n.file(name), out.Bytes(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("configure %s: %w", n.Name, err)
	}
	return nil
}

// named returns the sites of these names; of none: all.
func (n *Node) named(names []string) []site {
	if len(names) == 0 {
		return n.cluster
	}
	return slices.DeleteFunc(slices.Clone(n.cluster), func(s site) bool { return !slices.Contains(names, s.Name) })
}

// binaries are the programs that the lab runs.
type binaries struct {
	haproxy   string
	hacluster string // empty: nodes without an agent
}

// findBinaries finds the programs and checks that all the others that the lab calls are installed.
func findBinaries(hacluster string) (binaries, error) {
	bins := binaries{hacluster: hacluster}
	var missing []error
	for program, pkg := range map[string]string{"haproxy": "haproxy", "nft": "nftables"} {
		path, err := exec.LookPath(program)
		if err != nil {
			missing = append(missing, fmt.Errorf("%s is not installed: apt-get install %s", program, pkg))
		}
		if program == "haproxy" {
			bins.haproxy = path
		}
	}
	if hacluster != "" {
		if info, err := os.Stat(hacluster); err != nil || info.Mode()&0o111 == 0 {
			missing = append(missing, fmt.Errorf("no program %s: build it (make build) or say where it is with --hacluster", hacluster))
		}
	}
	return bins, errors.Join(missing...)
}
