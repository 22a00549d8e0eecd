package sandboxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds the program under test and returns its path.
func Build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hacluster")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/hacluster/hacluster/cmd/hacluster").CombinedOutput()
	if err != nil {
		t.Fatalf("build hacluster: %v\n%s", err, out)
	}
	return path
}

// MemoryDir returns a directory in memory, where there is one: a disk that other programs keep busy hangs, and a node whose disk
// hangs ends, which is no part of a test.
func MemoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hacluster-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
