package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadRefusesAFileThatAnybodyMayWrite: the checks and hooks in it are programs that the agent runs.
func TestLoadRefusesAFileThatAnybodyMayWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hacluster.yaml")
	if err := os.WriteFile(file, []byte(readExample(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o664: false, 0o646: true, 0o602: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadAs(file, "lb-1")
		if (err != nil) != refused {
			t.Errorf("mode %04o: error %v", mode, err)
		}
		if refused && !strings.Contains(err.Error(), "chmod o-w "+file) {
			t.Errorf("mode %04o: no remedy in %v", mode, err)
		}
	}
}
