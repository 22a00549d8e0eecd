package life

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/host"
)

const (
	commandTimeout = 40 * time.Second // the longest of hacluster's own is that of remove
	pollInterval   = 100 * time.Millisecond
	systemPath     = "/usr/sbin:/usr/bin:/sbin:/bin"
	deskPrompt     = "desk"
)

// Where the files of an installed node are. In the lab they are below the node's directory; commands and answers are shown as if they
// were here.
const (
	etc        = "/etc/hacluster"
	configFile = etc + "/" + configName
	tlsDir     = etc + "/" + certificates
	dataDir    = "/var/lib/hacluster"

	configName   = "hacluster.yaml"
	certificates = "tls"
)

var errNotServed = errors.New("clients are not served")

// play is one life in the lab, and the operator who leads the cluster through it.
type play struct {
	lab          *lab.Lab
	older, newer string      // programs
	dir          string      // of the lab
	lost         []*lab.Node // machines that died last
	screen       []Entry
}

// Entry is one command of the operator and what it answered, or, without a command, something that happened.
type Entry struct {
	At      string   `json:"at,omitempty"` // a node, or the operator's desk
	Command string   `json:"command,omitempty"`
	Output  []string `json:"output,omitempty"`
}

// desk is the operator's directory, on a machine that is none of the nodes.
func (p *play) desk() string { return filepath.Join(p.dir, deskPrompt) }

// happens notes what nobody typed.
func (p *play) happens(format string, args ...any) {
	p.screen = append(p.screen, Entry{Output: []string{fmt.Sprintf(format, args...)}})
}

// typed notes a command and what is worth showing of its answer.
func (p *play) typed(at, command, output string, keep excerpt) {
	var shown []string
	if output = strings.TrimRight(output, "\n"); output != "" {
		shown = keep(strings.Split(output, "\n"))
	}
	p.screen = append(p.screen, Entry{At: at, Command: command, Output: shown})
}

// atDesk runs a command line in the operator's directory.
func (p *play) atDesk(ctx context.Context, command string, keep excerpt) error {
	output, err := p.shell(ctx, command)
	p.typed(deskPrompt, command, output, keep)
	return err
}

// copied plays scp and ssh: what is shown is what one types, what runs is the same between directories.
func (p *play) copied(ctx context.Context, shown, run string) error {
	_, err := p.shell(ctx, run)
	p.typed(deskPrompt, shown, "", everything)
	return err
}

func (p *play) shell(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", command)
	cmd.Dir = p.desk()
	cmd.Env = []string{"PATH=" + filepath.Join(p.dir, "bin") + ":" + systemPath, "HOME=/nonexistent", "LANG=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", command, err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// on runs a command line on a node and returns what it printed. Status may say that something needs attention (1); anything else must succeed.
func (p *play) on(ctx context.Context, n *lab.Node, command string, keep excerpt) (string, error) {
	output, status, err := p.try(ctx, n, command, keep)
	if err == nil && status != 0 && (status != 1 || !strings.HasPrefix(command, "hacluster status")) {
		err = fmt.Errorf("%s on %s: exit status %d: %s", command, n.Name, status, output)
	}
	return output, err
}

// refused runs a command that must fail, and say these words.
func (p *play) refused(ctx context.Context, n *lab.Node, command, words string) error {
	output, status, err := p.try(ctx, n, command, everything)
	if err == nil && (status == 0 || !strings.Contains(output, words)) {
		err = fmt.Errorf("%s on %s: exit status %d, want it refused with %q: %s", command, n.Name, status, words, output)
	}
	return err
}

func (p *play) try(ctx context.Context, n *lab.Node, command string, keep excerpt) (output string, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	there := strings.NewReplacer(etc, n.File(""), dataDir, n.DataDir())
	back := strings.NewReplacer(n.DataDir(), dataDir, n.File(""), etc) // the first that fits: the data are below the node's directory
	env := []string{"PATH=" + n.File("bin") + ":" + systemPath}
	stdout, stderr, status, err := n.Exec(ctx, env, "/bin/sh", "-ec", there.Replace(command))
	output = back.Replace(string(stdout) + string(stderr))
	p.typed(n.Name, command, output, keep)
	return output, status, err
}

// logged returns what the agents of nodes have logged so far.
func logged(nodes []*lab.Node) ([]string, error) {
	var texts []string
	for _, n := range nodes {
		text, err := os.ReadFile(n.LogPath())
		if err != nil {
			return nil, fmt.Errorf("read the log of %s: %w", n.Name, err)
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

// says checks that the agent of a node has logged these words, behind so many bytes of its log, and shows the sentence.
func (p *play) says(n *lab.Node, behind int, words string) error {
	log, err := logged([]*lab.Node{n})
	if err != nil {
		return err
	}
	text := log[0][behind:]
	if !strings.Contains(text, words) {
		return fmt.Errorf("the agent of %s does not say %q:\n%s", n.Name, words, text)
	}
	p.happens("%s: the agent has ended, as %s", n.Name, words)
	return nil
}

// start plays 'systemctl start hacluster'.
func (p *play) start(n *lab.Node) error {
	p.typed(n.Name, "systemctl start hacluster", "", everything)
	return n.Start(lab.Agent)
}

// stop plays 'systemctl stop hacluster'.
func (p *play) stop(ctx context.Context, n *lab.Node) error {
	p.typed(n.Name, "systemctl stop hacluster", "", everything)
	if _, err := n.Signal(lab.Agent, host.Leader, syscall.SIGTERM); err != nil {
		return err
	}
	return p.ended(ctx, n)
}

func (p *play) ended(ctx context.Context, n *lab.Node) error {
	return p.until(ctx, func(context.Context) error {
		running, err := n.Running(lab.Agent)
		if err == nil && running {
			err = fmt.Errorf("the agent of %s runs on", n.Name)
		}
		return err
	})
}

// dies switches a machine off, for which nobody waits any more.
func (p *play) dies(n *lab.Node) error {
	n.Spare = true
	return p.lab.PowerOff(n)
}

// boots switches a machine on, with its agent if it is enabled, and counts on it from now on.
func (p *play) boots(n *lab.Node, enabled bool) error {
	if err := p.lab.PowerOn(n); err != nil {
		return err
	}
	n.Spare = false
	if !enabled {
		return nil
	}
	return n.Start(lab.Agent)
}

// wipes empties the disk of a machine that is off, but for the program and the configuration: what a new one comes with.
func (p *play) wipes(n *lab.Node) error {
	return errors.Join(os.RemoveAll(n.DataDir()), os.Mkdir(n.DataDir(), 0o700), os.RemoveAll(n.File(certificates)))
}

// install puts a build in place. An agent that runs is the one from before.
func (p *play) install(n *lab.Node, program string) error {
	n.Install(program)
	return link(program, n.File("bin"))
}

// link makes a program known as hacluster to who has the directory in its PATH.
func link(program, dir string) error {
	path := filepath.Join(dir, "hacluster")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err == nil {
		err = os.Symlink(program, path)
	}
	if err != nil {
		return fmt.Errorf("install %s: %w", program, err)
	}
	return nil
}

// until polls check until it succeeds, for as long as the cluster may take for anything.
func (p *play) until(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // that of a check which was cut short says nothing
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		case <-ticker.C:
		}
	}
}
