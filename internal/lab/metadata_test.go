package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// TestMetadataIsForTheAgent: the packet filter that docs/SECURITY.md prints keeps the metadata service, and so the role's credentials, from all
// users but root and the agent's.
func TestMetadataIsForTheAgent(t *testing.T) {
	sandboxtest.Need(t)
	const agentsUser, somebody = 990, 12345
	page, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^    table inet hacluster \{\n(    .*\n)+`).Find(page)
	rules := strings.ReplaceAll(string(found), "root, hacluster-agent", fmt.Sprintf("0, %d", agentsUser))
	if !strings.Contains(rules, fmt.Sprint(agentsUser)) {
		t.Fatalf("no packet filter in docs/SECURITY.md: %q", found)
	}
	err = Run(t.Context(), Options{Dir: t.TempDir()}, func(_ context.Context, l *Lab) error {
		n := l.nodes[0]
		for _, uid := range []int{0, agentsUser, somebody} {
			if err := askMetadata(t, n, uid); err != nil {
				t.Errorf("user %d before: %v", uid, err)
			}
		}
		onHost(t, n.host, func() error {
			cmd := exec.Command("nft", "-f", "-")
			cmd.Stdin = strings.NewReader(rules)
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("nft: %w: %s", err, bytes.TrimSpace(out))
			}
			return err
		})
		for uid, want := range map[int]error{0: nil, agentsUser: nil, somebody: unix.ECONNREFUSED} {
			if err := askMetadata(t, n, uid); !errors.Is(err, want) {
				t.Errorf("user %d: %v, want %v", uid, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// askMetadata connects to the metadata service from a node, as a user. Users are a thread's on Linux, and onHost's thread is not used again.
func askMetadata(t *testing.T, n *Node, uid int) error {
	t.Helper()
	var asked error
	onHost(t, n.host, func() error {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			return fmt.Errorf("become user %d: %w", uid, errno)
		}
		conn, err := net.DialTimeout("tcp", "169.254.169.254:80", 10*time.Second)
		if err == nil {
			err = conn.Close()
		}
		asked = err
		return nil
	})
	return asked
}
