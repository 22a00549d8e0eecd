package costs

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// The whole measurement of a real cluster. What it costs depends on the machine; who sends what to whom does not, and neither
// does what this is here for: while nothing happens nothing is written into the Raft log.
func TestMeasure(t *testing.T) {
	sandboxtest.Need(t)
	dir := t.TempDir()
	opts := lab.Options{Hacluster: filepath.Join(dir, "hacluster"), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab"), Progress: func(s string) { t.Log(s) }}
	build := exec.Command("go", "build", "-o", opts.Hacluster, "../../../cmd/hacluster")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var p Profile
	err := lab.Run(t.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		const tries = 3 // a busy machine makes a peaceful cluster move
		var err error
		for range tries {
			p, err = Measure(ctx, l, "default", Options{Dir: opts.Dir, Calm: 3 * time.Second, Duration: 2 * time.Second, Starts: 1, Say: opts.Progress})
			if !errors.Is(err, ErrRestless) {
				return err
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Nodes) != 3 || len(p.Starts) != 1 || p.Starts[0] <= 0 || p.Seconds < 2 {
		t.Fatalf("%+v", p)
	}
	for _, n := range p.Nodes {
		checkNode(t, n)
	}
	if roles := p.Roles(); len(roles) != 2 || roles[0].Role != roleMaster || roles[1].Role != roleBackup {
		t.Errorf("roles %+v", roles)
	}
}

func checkNode(t *testing.T, n Node) {
	t.Helper()
	if n.CPU <= 0 || n.Wakeups <= 0 || n.Anon <= 0 || n.RSS <= n.Anon || n.Peak < n.RSS || n.Threads < 1 {
		t.Errorf("no process of %s was measured: %+v", n.Name, n)
	}
	if n.Entries != 0 {
		t.Errorf("%v Raft log entries an hour at %s while nothing happens", n.Entries, n.Name)
	}
	vrrp, raft := n.Wire[VRRP], n.Wire[Cluster]
	if (vrrp.Sent.Packets > 0) != (n.Role == roleMaster) || (vrrp.Received.Packets > 0) != (n.Role == roleBackup) {
		t.Errorf("adverts of %s, which is %s: %+v", n.Name, n.Role, vrrp)
	}
	if raft.Sent.Bytes <= raft.Sent.Packets*headersLen || raft.Received.Bytes <= raft.Received.Packets*headersLen {
		t.Errorf("Raft and rpc of %s: %+v", n.Name, raft)
	}
}
