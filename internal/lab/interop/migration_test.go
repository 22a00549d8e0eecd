package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// classicConf is the keepalived.conf that has been copied since 2014.
const classicConf = `! Configuration File for keepalived
global_defs {
  router_id {{.Node.Name}}
  script_user root
}
vrrp_script chk_haproxy {
  script "/usr/bin/pgrep haproxy"
  interval 2
}
vrrp_instance VI_1 {
  state {{.State}}
  interface eth0
  virtual_router_id 51
  priority {{.Node.Priority}}
  advert_int 1
  unicast_src_ip {{.Node.Address.Addr}}
  unicast_peer {
    {{.Peer}}
  }
  track_script {
    chk_haproxy
  }
  notify_master {{.Script}}
}
`

// classicScript is its notify_master. --endpoint-url is the lab's, as for a VPC endpoint.
const classicScript = `#!/bin/bash
EIP={{.PublicIP}}
INSTANCE_ID={{.Node.Instance}}
AWS="/usr/bin/aws ec2 --region {{.Region}} --endpoint-url {{.Endpoint}}"
$AWS disassociate-address --public-ip $EIP
$AWS associate-address --public-ip $EIP --instance-id $INSTANCE_ID
`

const (
	classicFile   = "keepalived.conf"
	classicMaster = "master.sh"
	migratedFile  = "hacluster.yaml"

	// aScript is longer than a notify_master takes between two calls: the aws command needs its time to start.
	aScript = 2 * time.Second
)

// playMigration: two keepalived nodes serve; the operator walks through the classic failure; migrates as docs/MIGRATION.md says; walks
// through it again; and goes back.
func playMigration(s *stage) {
	page := readMigration(s.t)
	first, second, third := s.members[0], s.members[1], s.members[2]
	s.boot(func(n *lab.Node) []lab.Program {
		agent := n.HaclusterWith(n.File(migratedFile))
		agent.Manual = true
		switch n {
		case s.fourth:
			return nil
		case third:
			return []lab.Program{agent}
		default:
			return []lab.Program{agent, s.classic(n)}
		}
	})
	s.stopHAProxy(third) // a new machine: its HAProxy was never started
	s.must(first.Start(keepalived))
	s.awaitState(first, keepalived, "MASTER")
	s.must(second.Start(keepalived))
	s.awaitState(second, keepalived, "BACKUP")
	s.awaitHeldBy(first)

	before := s.walk(keepalived)
	from := time.Now()
	s.follow(page.there)
	s.settle()
	s.succeeded()
	e := s.since(from)
	s.undisturbed(e)
	s.adopted(first)
	s.saw("migrated without a call to EC2, without a move, %d requests of clients served and none failed", len(e.Requests))
	s.saw("at most %.1f s between two adverts of the holder, first keepalived's, then hacluster's", s.longestPause(first, e).Seconds())

	after := s.walk(lab.Agent)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		s.t.Errorf("the walkthrough: keepalived logged %v, hacluster %v", before, after)
	}
	s.saw("HAProxy stopped and started again: the same phrases in the log, before with keepalived, after with hacluster")

	from = time.Now()
	s.edit(page.guard)
	s.follow(page.back)
	s.awaitState(second, keepalived, "BACKUP")
	s.watch(aScript)
	e = s.since(from)
	s.undisturbed(e)
	s.saw("and back: no call, no move, %d requests served and none failed", len(e.Requests))
}

// classic configures the classic recipe on a node.
func (s *stage) classic(n *lab.Node) lab.Program {
	s.t.Helper()
	state, peer := "MASTER", s.members[1]
	if n != s.members[0] {
		state, peer = "BACKUP", s.members[0]
	}
	data := map[string]any{
		"Node": n, "State": state, "Peer": address(peer), "Script": n.File(classicMaster),
		"PublicIP": lab.ElasticIP, "Region": lab.Region, "Endpoint": lab.Endpoint(false),
	}
	s.write(n, classicMaster, s.render(classicScript, data), 0o700)
	return keepalivedProgram(s.write(n, classicFile, s.render(classicConf, data), 0o600))
}

// edit puts lines into each master.sh, before the calls.
func (s *stage) edit(lines string) {
	s.t.Helper()
	for _, n := range s.members[:2] {
		script, err := os.ReadFile(n.File(classicMaster))
		s.must(err)
		head, calls, found := strings.Cut(string(script), "$AWS disassociate-address")
		if !found {
			s.t.Fatalf("no place for the guard in %s", script)
		}
		s.write(n, classicMaster, head+lines+"$AWS disassociate-address"+calls, 0o700)
	}
}

// awaitHeldBy waits until the address is with a node, clients are served, and no notify_master is at work.
func (s *stage) awaitHeldBy(n *lab.Node) {
	s.t.Helper()
	s.until(func() error {
		switch {
		case s.lab.Holder() != n.Name:
			return fmt.Errorf("the address is with %q, want %s", s.lab.Holder(), n.Name)
		case !s.lab.Served() || !s.lab.Quiet(aScript):
			return errors.New("not at rest yet")
		}
		return nil
	})
}

// adopted fails the test unless the cluster took over the association that it found.
func (s *stage) adopted(n *lab.Node) {
	s.t.Helper()
	table, err := n.Command(s.ctx, "status")
	s.must(err)
	if !strings.Contains(string(table), "adopt") {
		s.t.Errorf("the history does not speak of an adoption:\n%s", table)
	}
}

// longestPause is the longest time between two adverts of a node.
func (s *stage) longestPause(n *lab.Node, e lab.Evidence) time.Duration {
	var longest time.Duration
	adverts := s.adverts(n, e.Injected, e.End)
	for i := 1; i < len(adverts); i++ {
		longest = max(longest, adverts[i].Time.Sub(adverts[i-1].Time))
	}
	return longest
}

// walk is what the operator of a classic pair does: stop HAProxy on the first node, look, start it again, look. It returns the states
// that each node logged meanwhile, and, of hacluster, keeps the story.
func (s *stage) walk(process string) map[string][]string {
	s.t.Helper()
	first, second := s.members[0], s.members[1]
	skip := map[string]int{}
	for _, n := range s.members {
		skip[n.Name] = len(s.states(n, process))
	}
	from := time.Now()
	s.stopHAProxy(first)
	s.awaitHeldBy(second)
	s.awaitState(first, process, "FAULT")
	again := time.Now()
	s.must(first.Start(lab.HAProxy))
	s.awaitState(first, process, "MASTER")
	s.awaitState(second, process, "BACKUP")
	s.awaitHeldBy(first)
	said := map[string][]string{}
	for _, n := range s.members {
		if states := s.states(n, process)[skip[n.Name]:]; len(states) > 0 {
			said[n.Name] = states
		}
	}
	if process == lab.Agent {
		s.story = s.transcript(from, again)
	}
	return said
}

// transcript tells a walkthrough of hacluster, in order of time.
func (s *stage) transcript(from, again time.Time) string {
	s.t.Helper()
	events, err := s.lab.Events(from, time.Now())
	s.must(err)
	var out strings.Builder
	first := s.members[0].Name
	fmt.Fprintf(&out, "%s# systemctl stop haproxy\n", first)
	started := false
	for _, e := range events {
		if !started && e.Time.After(again) {
			fmt.Fprintf(&out, "%s# systemctl start haproxy\n", first)
			started = true
		}
		if line := tell(e); line != "" {
			fmt.Fprintln(&out, line)
		}
	}
	return out.String()
}

// tell returns the line of an event that is the same each time.
func tell(e lab.Event) string {
	switch e.Kind {
	case lab.KindState:
		_, to, _ := strings.Cut(e.Text, "→ ")
		to, _, _ = strings.Cut(to, ",")
		return fmt.Sprintf("%s  (VI_1) Entering %s STATE", e.Node, strings.ToUpper(to))
	case lab.KindCall:
		_, call, _ := strings.Cut(e.Text, " calls ")
		return fmt.Sprintf("%s  %s", e.Node, call)
	default:
		return "EC2     " + e.Text
	}
}

// follow does what the page says, command by command. After each the address must be where it was, without a call.
func (s *stage) follow(commands []command) {
	s.t.Helper()
	began := time.Now()
	for _, c := range commands {
		s.perform(c)
		if holder, first := s.lab.Holder(), s.members[0].Name; holder != first || !s.lab.Quiet(time.Since(began)) {
			s.t.Fatalf("after %s: the address is with %q, or somebody called EC2", c, holder)
		}
	}
}

// succeeded fails the test unless hacluster had its first leader after the last keepalived had ended: before, both could call EC2.
func (s *stage) succeeded() {
	s.t.Helper()
	var first time.Time
	for _, n := range s.members {
		for line := range strings.Lines(s.log(n, lab.Agent)) {
			var entry struct {
				Message string    `json:"msg"`
				Time    time.Time `json:"ts"`
				Leader  string    `json:"leader"`
			}
			s.must(json.Unmarshal([]byte(line), &entry))
			if entry.Message == "leadership" && entry.Leader != "" && (first.IsZero() || entry.Time.Before(first)) {
				first = entry.Time
			}
		}
	}
	if first.IsZero() || !first.After(s.retired) {
		s.t.Errorf("hacluster has had a leader since %v, keepalived ended at %v", first, s.retired)
	}
}

// perform does what a command does on a real machine.
func (s *stage) perform(c command) {
	s.t.Helper()
	n := s.members[c.node]
	words := strings.Fields(c.text)
	switch {
	case words[0] == "systemctl":
		s.systemctl(n, words[1:])
	case strings.Contains(c.text, " | grep "):
		s.awaitPrinted(n, c.text)
	case strings.HasPrefix(c.text, "hacluster config import-keepalived "):
		s.importFiles(words[1:])
	case strings.HasPrefix(c.text, "hacluster config check "):
		for _, member := range s.members {
			s.cli("config", "check", "--node", member.Name, member.File(migratedFile))
		}
	default:
		s.t.Fatalf("the page says %s, which this test cannot do", c)
	}
}

func (s *stage) systemctl(n *lab.Node, words []string) {
	s.t.Helper()
	unit := words[len(words)-1]
	process, known := map[string]string{"keepalived": keepalived, "hacluster": lab.Agent, "haproxy": lab.HAProxy}[unit]
	if !known {
		s.t.Fatalf("there is no unit %q", unit)
	}
	switch verb := strings.Join(words[:len(words)-1], " "); verb {
	case "start", "enable --now":
		if process == keepalived {
			s.noAgents()
			s.mark(n.File(keepalivedLog))
		}
		s.must(n.Start(process))
	case "stop", "disable --now":
		s.stop(n, process)
		if process == keepalived {
			s.retired = time.Now()
		}
	default:
		s.t.Fatalf("systemctl %s: which this test cannot do", verb)
	}
}

// noAgents fails the test if an agent runs while keepalived is started.
func (s *stage) noAgents() {
	s.t.Helper()
	for _, n := range s.members {
		if running, err := n.Running(lab.Agent); running || err != nil {
			s.t.Fatalf("keepalived is started while the agent of %s runs (%v)", n.Name, err)
		}
	}
}

// awaitPrinted repeats a command until it prints what is searched for.
func (s *stage) awaitPrinted(n *lab.Node, text string) {
	s.t.Helper()
	program, search, _ := strings.Cut(text, " | grep ")
	search = onLab(strings.Trim(search, "'"))
	s.until(func() error {
		out := s.log(n, keepalived)
		if program == "hacluster status" {
			printed, err := n.Command(s.ctx, "status")
			if err != nil {
				return err
			}
			out = string(printed)
		} else if program != "journalctl -u keepalived" {
			s.t.Fatalf("%s: which this test cannot do", program)
		}
		if !strings.Contains(out, search) {
			return fmt.Errorf("%s on %s does not print %q:\n%s", program, n.Name, search, out)
		}
		return nil
	})
}

// importFiles makes the configuration and brings it to all nodes, with what the lab has in place of AWS.
func (s *stage) importFiles(args []string) {
	s.t.Helper()
	first, second := s.members[0], s.members[1]
	files := strings.NewReplacer(
		"lb-1.conf", first.File(classicFile), "lb-2.conf", second.File(classicFile), "master.sh", first.File(classicMaster),
		"10.0.3.11", address(s.members[2]).String(), "eipalloc-0123456789abcdef0", lab.AllocationID,
		migratedFile, first.File("imported.yaml"))
	for i := range args {
		args[i] = onLab(files.Replace(args[i]))
	}
	s.cli(args...)
	text, err := os.ReadFile(first.File("imported.yaml"))
	s.must(err)
	for _, n := range s.members {
		s.write(n, migratedFile, string(text)+"\ndata_dir: "+n.DataDir()+"-migrated\n", 0o600)
	}
}

// onLab puts the lab's names in the place of the page's.
func onLab(text string) string {
	return strings.NewReplacer("lb-1", "node-a", "lb-2", "node-b", "lb-3", "node-c").Replace(text)
}

// cli runs the hacluster command line apart from any agent.
func (s *stage) cli(args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.ctx, s.hacluster, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("hacluster %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// command is one line of docs/MIGRATION.md: `lb-2# systemctl stop haproxy`.
type command struct {
	node int // index among the members
	text string
}

func (c command) String() string { return fmt.Sprintf("lb-%d# %s", c.node+1, c.text) }

// prompts are those of the page, in the order of the members.
var prompts = []string{"lb-1# ", "lb-2# ", "lb-3# "}

// readCommands returns the commands in a part of the page. One line may hold several, between "&&".
func readCommands(text string) []command {
	var found []command
	for line := range strings.Lines(text) {
		node := slices.IndexFunc(prompts, func(p string) bool { return strings.HasPrefix(line, p) })
		if node < 0 {
			continue
		}
		for part := range strings.SplitSeq(line[len(prompts[node]):], "&&") {
			part, _, _ = strings.Cut(part, "  #")
			found = append(found, command{node, strings.TrimSpace(part)})
		}
	}
	return found
}
