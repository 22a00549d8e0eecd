package chaos

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Each injury does what it says, and says whether anything is left.
func TestInjuries(t *testing.T) {
	choices := map[string]func(*dice) injury{
		"truncated": truncate, "zeroed": overwrite("zeroed", zeros{}), "overwritten": overwrite("overwritten", bytes.NewReader(bytes.Repeat([]byte{7}, 1<<20))),
	}
	whole := bytes.Repeat([]byte("hacluster store "), 16*pageSize/16)
	for name, choose := range choices {
		seen := map[bool]bool{}
		for fault := range 20 {
			path := filepath.Join(t.TempDir(), "raft.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			hurt := choose(newDice(1, fault))
			if err := hurt.do(file, int64(len(whole))); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			seen[hurt.lost] = true
			left, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(left, whole) {
				t.Errorf("%s: nothing is damaged by: %s", name, hurt.text)
			}
			if any := bytes.Contains(left, []byte("hacluster store")); any == hurt.lost {
				t.Errorf("%s: lost %t, but something is left %t: %s", name, hurt.lost, any, hurt.text)
			}
			if name != "truncated" && len(left) != len(whole) {
				t.Errorf("%s: the size changed to %d: %s", name, len(left), hurt.text)
			}
		}
		if !seen[true] || !seen[false] {
			t.Errorf("%s: only one degree of damage in 20", name)
		}
	}
}

// The operator finds the directory in what agents really say.
func TestRemedy(t *testing.T) {
	tests := map[string]string{
		`raft store /lab/node-a/disk/data/raft/raft.db is damaged: move the directory /lab/node-a/disk/data/raft away, leave the file "initialized" beside it, and start the node again; it comes back as a new member (invalid database)`: "/lab/node-a/disk/data/raft",
		`identity in /lab/node-a/disk/data/initialized is damaged: stop the node, move /lab/node-a/disk/data away and start it again; it comes back as a new member`:                                                                       "/lab/node-a/disk/data",
		`raft: start raft on /lab/node-a/disk/data/raft: move it away if it is damaged, the node then comes back as a new member: no space left on device`:                                                                                 "",
		`raft: write term or vote: no space left on device: check the disk; the process ends and must be restarted`:                                                                                                                        "",
	}
	for words, want := range tests {
		got := ""
		if found := remedy.FindStringSubmatch(words); found != nil {
			got = found[1]
		}
		if got != want {
			t.Errorf("from %q: %q, want %q", words, got, want)
		}
	}
}
