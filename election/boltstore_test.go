package election

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// Whatever Raft does to its log, the store on disk answers as Raft's own store in memory does, and is found whole when it is opened
// again.
func TestTheStoreBehavesAsRaftsOwnInMemory(t *testing.T) {
	t.Parallel()
	dir, run := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		disk, memory := reopen(t, nil, path), raft.NewInmemStore()
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			first, last := bounds(t, memory)
			steps := []string{"append", "vote", "reopen", "compact", "cut", "overwrite"}
			if last == 0 {
				steps = steps[:3] // Raft deletes nothing from an empty log, and its own store would be confused
			}
			switch rapid.SampledFrom(steps).Draw(t, "step") {
			case "append":
				entries := drawEntries(t, last)
				must(t, errors.Join(disk.StoreLogs(entries), memory.StoreLogs(entries)))
			case "overwrite":
				entry := &raft.Log{Index: rapid.Uint64Range(first, last).Draw(t, "index"), Term: 99}
				must(t, errors.Join(disk.StoreLog(entry), memory.StoreLog(entry)))
			case "compact":
				to := rapid.Uint64Range(first, last).Draw(t, "to")
				must(t, errors.Join(disk.DeleteRange(first, to), memory.DeleteRange(first, to)))
			case "cut":
				from := rapid.Uint64Range(first, last).Draw(t, "from")
				must(t, errors.Join(disk.DeleteRange(from, last), memory.DeleteRange(from, last)))
			case "vote":
				term := rapid.Uint64().Draw(t, "term")
				must(t, errors.Join(disk.SetUint64([]byte("LastVoteTerm"), term), memory.SetUint64([]byte("LastVoteTerm"), term)))
			case "reopen":
				disk = reopen(t, disk, path)
			}
			compareEnds(t, disk, memory)
		}
		compareAll(t, disk, memory)
		must(t, disk.Close())
	})
}

func reopen(t *rapid.T, before *boltStore, path string) *boltStore {
	if before != nil {
		must(t, before.Close())
	}
	s, err := openBoltStore(path)
	must(t, err)
	first, err := s.FirstIndex()
	must(t, err)
	must(t, s.verify(max(first, 1)-1))
	return s
}

func drawEntries(t *rapid.T, last uint64) []*raft.Log {
	if last == 0 {
		last = rapid.Uint64Range(0, 1<<40).Draw(t, "after a snapshot of")
	}
	var entries []*raft.Log
	size := rapid.SampledFrom([]int{10, 300, 5000}).Draw(t, "size") // more than a page, too
	for i := range uint64(rapid.IntRange(1, 12).Draw(t, "entries")) {
		entries = append(entries, &raft.Log{Index: last + 1 + i, Term: i, Type: raft.LogType(i % 6), Data: make([]byte, size)})
	}
	return entries
}

func bounds(t *rapid.T, s raft.LogStore) (first, last uint64) {
	first, firstErr := s.FirstIndex()
	last, lastErr := s.LastIndex()
	must(t, errors.Join(firstErr, lastErr))
	return first, last
}

func compareEnds(t *rapid.T, disk *boltStore, memory *raft.InmemStore) {
	first, last := bounds(t, memory)
	if gotFirst, gotLast := bounds(t, disk); gotFirst != first || gotLast != last {
		t.Fatalf("the log goes from %d to %d, want %d to %d", gotFirst, gotLast, first, last)
	}
}

func compareAll(t *rapid.T, disk *boltStore, memory *raft.InmemStore) {
	first, last := bounds(t, memory)
	for index := max(first, 1) - 1; index <= last+1; index++ {
		var got, want raft.Log
		gotErr, wantErr := disk.GetLog(index, &got), memory.GetLog(index, &want)
		if !errors.Is(gotErr, wantErr) {
			t.Fatalf("entry %d: %v, want %v", index, gotErr, wantErr)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("entry %d:\n%s", index, d)
		}
	}
	got, gotErr := disk.GetUint64([]byte("LastVoteTerm"))
	want, _ := memory.GetUint64([]byte("LastVoteTerm")) // 0 where the store on disk says "not found", as Raft expects
	if got != want || gotErr != nil && gotErr.Error() != "not found" {
		t.Fatalf("vote %d, %v; want %d", got, gotErr, want)
	}
}
