package convert

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/internal/keepalived"
	"github.com/hacluster/hacluster/internal/keepalived/script"
)

// notify is a notify command of an instance or its group.
type notify struct {
	keyword string
	command keepalived.Command
	at      keepalived.Position
	what    string // the statement
	file    string // the script that was read; empty if it was not found
	read    script.Notify
}

// position returns a line of the script, or that of the statement.
func (n notify) position(line int) keepalived.Position {
	if n.file == "" {
		return n.at
	}
	return keepalived.Position{File: n.file, Line: line}
}

// hook is one line of the section hooks.
type hook struct {
	keyword string
	argv    []string
	at      keepalived.Position
	off     string // why it is written as a comment, or empty
}

// readNotify takes in a notify keyword. It reports false for other keywords.
func (c *converter) readNotify(v *view, s *keepalived.Statement) bool {
	switch s.Keyword() {
	case "notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted", "notify_master_rx_lower_pri":
	default:
		return false
	}
	command, err := s.Command()
	if err != nil {
		c.report.refused(s.At, s.String(), err.Error())
		return true
	}
	v.instance.notifies = append(v.instance.notifies, notify{keyword: s.Keyword(), command: command, at: s.At, what: s.String()})
	return true
}

// locate finds a script: among those that were given, beside the configuration, or, where the configuration is the node's
// own, where its path says.
func (c *converter) locate(v *view, path string) (string, string, bool) {
	var candidates []string
	for _, given := range c.request.Scripts {
		if filepath.Base(given) == filepath.Base(path) {
			candidates = append(candidates, given)
		}
	}
	dir := filepath.Dir(v.file.Name)
	candidates = append(candidates, filepath.Join(dir, filepath.Base(path)))
	switch {
	case !filepath.IsAbs(path):
		candidates = append(candidates, filepath.Join(dir, path))
	case filepath.IsAbs(v.file.Name): // on the node itself, where the path means what it says
		candidates = append(candidates, path)
	}
	for _, name := range candidates {
		if data, err := c.files.ReadFile(name); err == nil && !strings.ContainsRune(string(data), 0) {
			return name, string(data), true
		}
	}
	return "", "", false
}

// readNotifies reads the scripts behind the notify keywords.
func (c *converter) readNotifies() {
	for _, v := range c.views {
		for i := range v.instance.notifies {
			c.readScript(v, &v.instance.notifies[i])
		}
	}
	c.noteStray()
}

func (c *converter) readScript(v *view, n *notify) {
	if user := n.command.User; user != "" {
		c.report.dropped(n.at, "user "+user+" of "+n.keyword, "hooks run as the agent's user. If this was meant as an argument: keepalived "+
			"wants a command with its arguments in quotes")
	}
	path := n.command.Argv[0]
	if interpreter := filepath.Base(path); len(n.command.Argv) > 1 && filepath.IsAbs(n.command.Argv[1]) &&
		slices.Contains([]string{"sh", "bash", "dash", "python", "python3"}, interpreter) {
		path = n.command.Argv[1]
	}
	n.read = script.ReadNotify(inline(n.command))
	if name, content, found := c.locate(v, path); found && !n.read.MovesAddress() {
		n.file, n.read = name, script.ReadNotify(content)
	}
	c.noteScriptHabits(*n)
}

// inline is the text that a command runs itself.
func inline(command keepalived.Command) string {
	if i := slices.Index(command.Argv, "-c"); i > 0 && i+1 < len(command.Argv) {
		return command.Argv[i+1]
	}
	return command.Text
}

// unread reports whether what the command does is known.
func (n notify) unread() bool {
	return n.file == "" && !n.read.MovesAddress() && filepath.IsAbs(n.command.Argv[0]) && len(n.read.Others) > 0
}

// noteScriptHabits reports what the scripts do that hacluster does otherwise.
func (c *converter) noteScriptHabits(n notify) {
	r := n.read
	if r.DisassociatesFirst() {
		c.report.changed(n.position(slices.Min(r.Disassociates)), "disassociate, then associate", "eip",
			"between the two calls nobody has the address, and the first takes it from whoever holds it, a successor included. hacluster gives it away in one call "+
				"when the holder lives, and fences a takeover by the association id")
	} else if len(r.Associates) > 0 {
		c.report.converted(n.position(r.Associates[0]), "associate-address", "eip")
	} else if len(r.Disassociates) > 0 {
		c.report.dropped(n.position(r.Disassociates[0]), "disassociate-address", "a node that gives up the address does not take it off: its successor moves it")
	}
	for _, line := range r.Keys {
		c.report.dropped(n.position(line), "a literal access key", "it is copied nowhere. Give the instances a role, and delete the key: who "+
			"can read this file can use it")
	}
	for _, line := range r.MetadataV1 {
		c.report.dropped(n.position(line), "instance metadata without a token (IMDSv1)", "hacluster asks by IMDSv2, so that you can require it of the instances")
	}
	for _, call := range r.OtherCalls {
		c.report.changed(n.position(call.Line), call.Text, "", "hacluster moves an Elastic IP and nothing else: what this call does is left to the hook")
	}
	for _, p := range r.Profiles {
		c.report.dropped(n.position(p.Line), "--profile "+p.Text, "the agent uses the instance's role, or AWS_PROFILE in its own environment")
	}
}

// noteStray reports scripts that were given and that nothing names.
func (c *converter) noteStray() {
	for _, given := range c.request.Scripts {
		used := false
		for _, v := range c.views {
			used = used || slices.ContainsFunc(v.instance.notifies, func(n notify) bool { return n.file == given })
		}
		if _, err := c.files.ReadFile(given); err != nil {
			c.report.refused(keepalived.Position{File: given}, "--script "+given, "it cannot be read")
		} else if !used {
			c.report.dropped(keepalived.Position{File: given}, "--script "+given, "no notify keyword of the instance names a script of this name")
		}
	}
}

// makeHooks keeps what the notify commands do beside moving the address.
func (c *converter) makeHooks() {
	for _, v := range c.views {
		for _, n := range v.instance.notifies {
			c.makeHook(n)
		}
	}
}

func (c *converter) makeHook(n notify) {
	key := "hooks." + n.keyword
	switch {
	case n.read.OnlyMovesAddress():
		c.report.dropped(n.at, n.what, "the script moves the address and does nothing else; hacluster does that itself")
		return
	case n.keyword == "notify_master_rx_lower_pri":
		c.report.dropped(n.at, n.what, "it takes the address back after two nodes were MASTER, which cannot happen; eip.drift: repair brings "+
			"it back from anywhere else")
		return
	case n.keyword == "notify_deleted":
		c.report.dropped(n.at, n.what, "an instance does not vanish while the agent runs")
		return
	case holdsSecret(strings.Join(n.command.Argv, " ")):
		c.report.dropped(n.at, n.what, "the command line holds something secret, which is not copied: put it into a file that the script "+
			"reads, and write the hook yourself")
		return
	}
	h := hook{keyword: n.keyword, argv: hookLine(n.command), at: n.at}
	switch {
	case n.read.MovesAddress():
		h.off = "take the calls of EC2 out of the script before you enable this hook, since it would work against hacluster"
		c.report.changed(n.at, n.what, key+", as a comment", fmt.Sprintf("the script moves the address (%s), which hacluster does itself, and more (%s). %s",
			lines(n, append(slices.Clone(n.read.Associates), n.read.Disassociates...)), others(n.read), capital(h.off)))
	case n.unread():
		h.off = "the script was not found here; if it moves the address, take that out before you enable this hook"
		c.report.changed(n.at, n.what, key+", as a comment", capital(h.off)+". To have it read, copy it beside the configuration, or give --script")
	default:
		why := "hooks run one at a time, and the newest state supersedes older ones that wait; a file with unsafe permissions is refused"
		if n.keyword == "notify" {
			why += ". The arguments are keepalived's, where the second is " + c.cluster.name.v + " instead of the instance's name"
		}
		c.report.changed(n.at, n.what, key, why)
	}
	c.addHook(h)
}

// addHook: there is one hook of each kind, for all nodes.
func (c *converter) addHook(h hook) {
	for _, other := range c.cluster.hooks {
		if other.keyword != h.keyword {
			continue
		}
		if !slices.Equal(other.argv, h.argv) {
			c.report.changed(h.at, h.keyword+" "+strings.Join(h.argv, " "), "hooks."+h.keyword, fmt.Sprintf(
				"one file serves all nodes, and has the command of %s; write this one in the node's own file", other.at))
		}
		return
	}
	c.cluster.hooks = append(c.cluster.hooks, h)
}

// hookLine is the command of a hook. A shell gets a name for $0, so that the arguments begin at $1.
func hookLine(command keepalived.Command) []string {
	argv := commandLine(command)
	if len(argv) == 1 && strings.ContainsAny(argv[0], " \t") { // which looks like a forgotten comma
		argv = []string{"/usr/bin/env", argv[0]}
	}
	if argv[0] == "/bin/sh" && len(argv) == 3 {
		argv = append(argv, "sh")
	}
	return argv
}

// lines names the lines of a script.
func lines(n notify, numbers []int) string {
	slices.Sort(numbers)
	var texts []string
	for _, line := range slices.Compact(numbers) {
		texts = append(texts, n.position(line).String())
	}
	return strings.Join(texts, ", ")
}

// others names the other things that a script does: the programs, not their arguments, which may be confidential.
func others(r script.Notify) string {
	if r.Searched {
		return "it is not a shell script and was only searched"
	}
	var texts []string
	for _, o := range slices.Concat(r.OtherCalls, r.Others) {
		texts = append(texts, fmt.Sprintf("%s in line %d", o.Text, o.Line))
	}
	return strings.Join(texts, ", ")
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
