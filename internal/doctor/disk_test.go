package doctor

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Nothing is left in the directory, and a directory that is not there is not made.
func TestDataDirIsLeftAsItWas(t *testing.T) {
	f := nodeOf(t, "default")
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "not", "there")} {
		f.cfg.File.DataDir = path
		found := f.examineDataDir(t.Context())
		if len(found) == 0 || found[0].Status == Skip {
			t.Errorf("%s: %+v", path, found)
		}
		if last := found[len(found)-1]; path != dir && (last.About != "directory" || last.Status != Skip) {
			t.Errorf("%s: %+v", path, last)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	}
}

func TestDataDirThatIsAFile(t *testing.T) {
	f := nodeOf(t, "default")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.cfg.File.DataDir = file
	want(t, f.examineDataDir(t.Context())[0], Fail, "or below something that is none")
}

func TestSyncTimes(t *testing.T) {
	f := nodeOf(t, "default") // log_write_timeout 2s
	of := func(median time.Duration) []time.Duration { return []time.Duration{0, median, 2 * median} }
	want(t, f.judgeSync("/data", of(3*time.Millisecond)), Pass, "takes 3ms, at most 6ms of 3")
	want(t, f.judgeSync("/data", of(80*time.Millisecond)), Warn, "every commit waits")
	want(t, f.judgeSync("/data", of(1100*time.Millisecond)), Fail, "log_write_timeout")
}

func TestSpace(t *testing.T) {
	if got := judgeFree("/data", 1<<30); got != nil {
		t.Errorf("%+v", got)
	}
	want(t, *judgeFree("/data", 100<<20), Warn, "100 MiB")
	want(t, *judgeFree("/data", 1<<20), Fail, "1 MiB")
}

func TestDiskErrors(t *testing.T) {
	at := func(errno syscall.Errno) error { return &fs.PathError{Op: "open", Path: "/data/x", Err: errno} }
	want(t, explainDisk("/data", true, at(syscall.EROFS)), Fail, "mounted read-only")
	want(t, explainDisk("/data", true, at(syscall.ENOSPC)), Fail, "full")
	want(t, explainDisk("/data", true, at(syscall.EACCES)), Fail, "may not write")
	want(t, explainDisk("/data", false, at(syscall.EACCES)), Skip, "may not make it")
	want(t, explainDisk("/data", true, at(syscall.EIO)), Fail, "input/output error")
}
