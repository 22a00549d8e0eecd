package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/internal/boottime"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
	"github.com/hacluster/hacluster/internal/lab/host"
)

const (
	// restartAfter is systemd's RestartSec, with Restart=always.
	restartAfter = time.Second
	// keeperTick is how often a keeper looks whether its agent runs.
	keeperTick = 20 * time.Millisecond
	// deathLimit bounds the wait for a killed process to be gone.
	deathLimit = 10 * time.Second
)

// remedy is how an agent that cannot start says which files are to be moved away.
var remedy = regexp.MustCompile(`move (?:the directory |the file )?(/[^\s:,;]+) away`)

// keeper is what a node has around its agent: a service manager that restarts it, and an operator who reads its last words
// and does what they ask for.
type keeper struct {
	node   *lab.Node
	record *recorder
	say    func(string, ...any)

	mu      sync.Mutex
	held    bool          // a fault wants it dead
	delay   time.Duration // before the next restart
	seen    time.Duration // last seen running
	gone    time.Duration // first seen missing; 0: it runs
	logSize int64         // of the log when the process was started
	moved   int
}

func newKeeper(n *lab.Node, record *recorder, say func(string, ...any)) *keeper {
	return &keeper{node: n, record: record, say: say, delay: restartAfter, seen: boottime.Now()}
}

// run keeps the agent running until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	ticker := time.NewTicker(keeperTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := k.tend(); err != nil {
				return fmt.Errorf("keep the agent of %s: %w", k.node.Name, err)
			}
		}
	}
}

// tend restarts the agent when it is due.
func (k *keeper) tend() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked := boottime.Now()
	running, err := k.node.Running(lab.Agent)
	now := boottime.Now()
	switch {
	case err != nil:
		return err
	case running:
		k.seen = asked
		return nil
	case k.gone == 0:
		k.gone = now
		return nil
	case k.held || now-k.gone < k.delay:
		return nil
	}
	return k.restart()
}

func (k *keeper) restart() error {
	why, err := k.lastWords()
	if err != nil {
		return err
	}
	if err := k.followRemedy(why); err != nil {
		return err
	}
	absence := judge.Absence{Node: k.node.Name, Why: why}
	absence.Asked, absence.Began, absence.Mending = k.seen, k.gone, boottime.Now()
	if err := k.node.Start(lab.Agent); err != nil {
		return err
	}
	absence.Ended = boottime.Now()
	if why != "" {
		k.say("%s ended: %s", k.node.Name, why)
	}
	k.gone, k.delay = 0, restartAfter
	return k.record.absence(absence)
}

// lastWords returns the sentence with which the agent ended, and counts its log as read. A killed one has none.
func (k *keeper) lastWords() (string, error) {
	log, err := os.ReadFile(k.node.LogPath())
	if err != nil {
		return "", fmt.Errorf("read last words: %w", err)
	}
	fresh := log[min(k.logSize, int64(len(log))):]
	k.logSize = int64(len(log))
	for line := range bytes.Lines(fresh) {
		if words, ok := strings.CutPrefix(string(line), "hacluster: "); ok {
			return strings.TrimSpace(words), nil
		}
	}
	return "", nil
}

// followRemedy moves away what the agent asked to be moved away: the raft directory, or the whole data directory.
func (k *keeper) followRemedy(words string) error {
	found := remedy.FindStringSubmatch(words)
	if found == nil {
		return nil
	}
	path := found[1]
	if rel, err := filepath.Rel(filepath.Dir(k.node.DataDir()), path); err != nil || strings.HasPrefix(rel, "..") {
		return fmt.Errorf("the remedy of %s is outside its disk: %s", k.node.Name, words)
	}
	aside := filepath.Join(filepath.Dir(k.node.DataDir()), fmt.Sprintf("aside-%d", k.moved))
	k.moved++
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("follow the remedy: %w", err)
	}
	if err := os.RemoveAll(aside); err != nil { // the disk is small; the operator has a copy
		return err
	}
	k.say("operator of %s moved %s away, as told", k.node.Name, filepath.Base(path))
	return os.MkdirAll(k.node.DataDir(), 0o700)
}

// end ends the agent by a signal; it is restarted after delay.
func (k *keeper) end(sig syscall.Signal, delay time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	to := host.Group
	if sig == syscall.SIGTERM {
		to = host.Leader
	}
	_, err := k.node.Signal(lab.Agent, to, sig)
	if errors.Is(err, host.ErrRefused) {
		return errNoFault // it ended by itself
	}
	k.delay = delay
	return err
}

// hold kills the agent and keeps it dead, until let.
func (k *keeper) hold(ctx context.Context) error {
	k.mu.Lock()
	k.held = true
	k.mu.Unlock()
	_, err := k.node.Signal(lab.Agent, host.Group, syscall.SIGKILL)
	if err != nil && !errors.Is(err, host.ErrRefused) {
		return err
	}
	return awaitDeath(ctx, k.node, lab.Agent)
}

// let allows the agent to be started again.
func (k *keeper) let() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = false
}

// awaitDeath waits until a killed process is gone.
func awaitDeath(ctx context.Context, n *lab.Node, process string) error {
	ctx, cancel := context.WithTimeout(ctx, deathLimit)
	defer cancel()
	for {
		running, err := n.Running(process)
		if err != nil || !running {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait for the death of %s on %s: %w", process, n.Name, err)
		}
	}
}
