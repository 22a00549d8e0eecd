package interop

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

var update = flag.Bool("update", false, "rewrite docs/INTEROP.md with what is seen now")

func TestMain(m *testing.M) { sandboxtest.Main(m, lab.Roles()) }

// scenario is one play with a real keepalived in it. What it saw becomes a row of docs/INTEROP.md.
type scenario struct {
	name, title string
	play        func(*stage)
}

func scenarios() []scenario {
	v2 := dialect{name: "v2", version: 2, interval: time.Second}
	v3 := dialect{name: "v3", version: 3, interval: 300 * time.Millisecond, address: privateVIP, named: privateVIP}
	return []scenario{
		{"backup-v2", "BACKUP, VRRPv2, 1 s", v2.playBackup},
		{"backup-v3", "BACKUP, VRRPv3, 300 ms, with a `virtual_ipaddress` that hacluster names too", v3.playBackup},
		{"password", "BACKUP, VRRPv2, `auth_type PASS`", playPassword},
		{"addresses", "BACKUP, VRRPv3, with a `virtual_ipaddress` that hacluster does not name", playAddresses},
		{"foreign", "MASTER of priority 254, VRRPv2", playForeign},
		{"migration", "the classic pair, migrated to hacluster and back", playMigration},
	}
}

// Four nodes: hacluster is on the first three, and keepalived on the fourth, or, before a migration, on the first two.
func TestInterop(t *testing.T) {
	sandboxtest.Need(t)
	needPrograms(t, "keepalived", "tshark", "tcpdump", "pgrep", "/usr/bin/aws")
	opts := lab.Options{
		Hacluster: sandboxtest.Build(t), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab"), Nodes: 4,
		Programs: func(*lab.Node) ([]lab.Program, error) { return nil, nil },
	}
	var page page
	err := lab.Run(t.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		for _, play := range scenarios() {
			t.Run(play.name, func(t *testing.T) {
				s := newStage(ctx, t, l, opts)
				play.play(s)
				s.checkCapture(play.name)
				t.Logf("keepalived is %s: %s", play.title, strings.Join(s.seen, "; "))
				page.add(play, s)
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page.check(t, len(scenarios()))
}

// needPrograms skips what cannot run here. In CI that is a failure: a check that nobody runs is none.
func needPrograms(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		} else if os.Getenv("CI") == "true" {
			t.Fatal(err)
		} else {
			t.Skipf("NOT TESTED: %v", err)
		}
	}
}
