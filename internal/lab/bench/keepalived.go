package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// tunedRecipe is what an expert makes of keepalived 2.2.7.
//
// In the lab, as in every network namespace but the machine's first, the kernel does not tell of processes (its connector
// answers "connection refused"), so that vrrp_track_process cannot work there. Its place takes a watcher that waits on
// pidfds and writes a tracked file, which keepalived reads at once by inotify: see docs/BENCHMARKS.md for what that costs.
// notify_master_rx_lower_pri takes the address back after a partition or a freeze, when a Master finds that another was.
// The virtual address is one that keepalived 2.2.7 demands and nobody uses.
const tunedRecipe = `global_defs {
  router_id {{.Node.Name}}
  script_user root
{{- if .RealTime}}
  vrrp_rt_priority 50
{{- end}}
}
track_file haproxy_gone {
  file {{.Gone}}
  weight 0
  init_file 0
}
{{- if .Watched}}
track_file haproxy_silent {
  file {{.Silent}}
  weight 0
  init_file 0
}
{{- else}}
vrrp_script haproxy_answers {
  script "{{.Watch}} once {{.URL}}"
  interval 1
  timeout 1
  fall 2
  rise 1
}
{{- end}}
vrrp_instance VI_1 {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {{.Node.Priority}}
  version 3
  advert_int {{.Interval.Seconds}}
  unicast_src_ip {{.Node.Address.Addr}}
  unicast_peer {
{{- range .Peers}}
    {{.}}
{{- end}}
  }
  virtual_ipaddress {
    169.254.51.51/32 dev lo
  }
  track_file {
    haproxy_gone
{{- if .Watched}}
    haproxy_silent
{{- end}}
  }
{{- if not .Watched}}
  track_script {
    haproxy_answers
  }
{{- end}}
{{- range .Takes}}
  {{.}} "{{$.Associate}} --endpoint {{$.Endpoint}} --region {{$.Region}} --allocation-id {{$.Allocation}} --network-interface-id {{$.Node.ENI}}"
{{- end}}
}
`

// classicRecipe is the one that has been copied since 2014.
const classicRecipe = `global_defs {
  router_id {{.Node.Name}}
  script_user root
}
vrrp_script chk_haproxy {
  script "{{.Check}}"
  interval 2
}
vrrp_instance VI_1 {
  state {{if .First}}MASTER{{else}}BACKUP{{end}}
  interface eth0
  virtual_router_id 51
  priority {{.Node.Priority}}
  advert_int 1
  unicast_src_ip {{.Node.Address.Addr}}
  unicast_peer {
{{- range .Peers}}
    {{.}}
{{- end}}
  }
  virtual_ipaddress {
    169.254.51.51/32 dev lo
  }
  track_script {
    chk_haproxy
  }
  notify_master "{{.Master}}"
}
`

// checkScript is the classic recipe's vrrp_script. It needs a shell: keepalived follows Debian's symbolic link to killall5,
// which is pidof only by that name.
const checkScript = `#!/bin/sh
exec pidof haproxy
`

// masterScript is the classic recipe's notify_master.
const masterScript = `#!/bin/sh
AWS="/usr/bin/aws ec2 --endpoint-url {{.Endpoint}} --region {{.Region}}"
$AWS disassociate-address --public-ip {{.PublicIP}}
$AWS associate-address --public-ip {{.PublicIP}} --instance-id {{.Node.Instance}}
`

// keepalived is one recipe for keepalived.
type keepalived struct {
	name, recipe string
	Interval     time.Duration // between adverts; classic: one second, whatever this says
	Watched      bool          // a hang is found by a watcher of 50 ms, not by a vrrp_script
	RealTime     bool          // SCHED_RR
	tools        Tools
	tls          bool
}

func (k keepalived) Name() string { return k.name }

func (k keepalived) Adapt(fault lab.Fault) lab.Fault {
	if fault.Name != "handover" {
		return fault
	}
	stop := mustFault("stop")
	stop.Name = fault.Name
	return stop
}

// recipeData is what the templates above are made from.
type recipeData struct {
	keepalived
	Node                                          *lab.Node
	Peers                                         []netip.Addr
	First                                         bool
	Gone, Silent, Watch, Associate, Check, Master string
	URL, Endpoint, Region, Allocation, PublicIP   string
}

// Takes returns the events upon which a node takes the address.
func (recipeData) Takes() []string { return []string{"notify_master", "notify_master_rx_lower_pri"} }

// Where the watchers write, on a node.
const (
	goneFile   = "/run/haproxy-gone"
	silentFile = "/run/haproxy-silent"
)

func (k keepalived) Programs(n *lab.Node) ([]lab.Program, error) {
	config, check, script := n.File(k.name+".conf"), n.File("check.sh"), n.File("master.sh")
	data := recipeData{
		keepalived: k, Node: n, First: n.Name == lab.NodeNames()[0],
		Gone: goneFile, Silent: silentFile, Watch: k.tools.Watch, Associate: k.tools.Associate, Check: check, Master: script,
		URL: "http://127.0.0.1/healthz", Endpoint: lab.Endpoint(k.tls), Region: lab.Region,
		Allocation: lab.AllocationID, PublicIP: lab.ElasticIP,
	}
	for _, name := range lab.NodeNames() {
		if name != n.Name {
			data.Peers = append(data.Peers, lab.NodeAddress(name))
		}
	}
	if err := errors.Join(write(config, k.recipe, data, 0o600), write(check, checkScript, data, 0o700),
		write(script, masterScript, data, 0o700)); err != nil {
		return nil, fmt.Errorf("configure %s on %s: %w", k.name, n.Name, err)
	}
	key := lab.PersonsKey()
	daemon := lab.Program{
		Name: lab.Agent,
		Argv: []string{k.tools.Keepalived, "--dont-fork", "--log-console", "--vrrp", "--use-file", config},
		Env: []string{
			"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AWS_MAX_ATTEMPTS=1",
			"AWS_CA_BUNDLE=" + n.CABundle(),
		},
	}
	return append(k.watchers(data), daemon), nil
}

func (k keepalived) watchers(data recipeData) []lab.Program {
	if k.name == Classic {
		return nil
	}
	programs := []lab.Program{{Name: "exit-watcher", Argv: []string{k.tools.Watch, "exit", data.Gone}}}
	if k.Watched {
		programs = append(programs, lab.Program{Name: "answer-watcher", Argv: []string{k.tools.Watch, "answer", data.Silent, data.URL}})
	}
	return programs
}

func write(path, text string, data recipeData, mode os.FileMode) error {
	out, err := render(text, data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, mode)
}

func render(text string, data recipeData) ([]byte, error) {
	tmpl, err := template.New("recipe").Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, data)
	return out.Bytes(), err
}

// placeAfter is how long the first node reigns before the address is given to it: longer than any notify_master needs.
const placeAfter = 3 * time.Second

// quietTime is more than passes between the two calls of the classic script: the aws command takes its time to start.
const quietTime = 1500 * time.Millisecond

// Steady looks at the same witnesses as after a fault and, for the nodes that say nothing on the wire, at their logs. When
// the notify_masters of a boot overtake one another, the address ends with the wrong node, for ever; then an operator's
// hand puts it right.
func (k keepalived) Steady(ctx context.Context, l *lab.Lab) error {
	first := l.Nodes()[0]
	place := time.Now().Add(placeAfter)
	return until(ctx, steadyLimit, func() error {
		for _, n := range l.Nodes()[1:] {
			log, err := tail(n.LogPath())
			if err != nil {
				return err
			}
			if state := lastState(log); state != "BACKUP" {
				place = time.Now().Add(placeAfter)
				return fmt.Errorf("%s is %q", n.Name, state)
			}
		}
		if l.Holder() != first.Name && time.Now().After(place) {
			return l.Place(first)
		}
		if !l.Quiet(quietTime) {
			return errors.New("a notify_master may be at work")
		}
		return inCharge(l, first.Name)
	})
}

// logTail is more than keepalived says of one boot.
const logTail = 16 << 10

// tail returns the end of a log.
func tail(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > logTail {
		if _, err := file.Seek(-logTail, io.SeekEnd); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(file)
	return string(text), err
}

// lastState returns the state that keepalived entered last, in capitals.
func lastState(log string) string {
	state := ""
	for line := range strings.Lines(log) {
		if strings.Contains(line, "Starting Keepalived") {
			state = ""
		}
		line = strings.ToUpper(line)
		if _, rest, found := strings.Cut(line, "(VI_1) ENTERING "); found {
			state, _, _ = strings.Cut(rest, " ")
		}
	}
	return state
}
