package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	fsyncCount = 11
	fsyncSize  = 4 << 10 // bytes: about what one log entry makes bbolt write
	fsyncFor   = 2 * time.Second
	fsyncSlow  = 50 * time.Millisecond
	// The store stays at a few megabytes: 1024 log entries and two snapshots.
	spaceWarn = 256 << 20 // bytes
	spaceFail = 16 << 20
)

// examineDataDir writes a small file in the data directory, as the log is written, and removes it again. A directory that is not there
// yet is judged by the one that it will be made in.
func (f *facts) examineDataDir(context.Context) []Finding {
	dir, made := existing(f.cfg.File.DataDir)
	times, err := measureSync(dir)
	if err != nil {
		return []Finding{explainDisk(f.cfg.File.DataDir, made, err)}
	}
	found := []Finding{f.judgeSync(dir, times)}
	if space := judgeSpace(dir); space != nil {
		found = append(found, *space)
	}
	if !made {
		found = append(found, skip("%s is not there yet; the agent, or its unit's StateDirectory, makes it in %s", f.cfg.File.DataDir, dir).about("directory"))
	}
	return found
}

// existing returns the nearest directory on the way up that is there, and whether that is dir itself.
func existing(dir string) (string, bool) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at, at == dir
		}
	}
}

// measureSync returns how long each of some writes took to be durable, in ascending order.
func measureSync(dir string) (times []time.Duration, err error) {
	file, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	block := bytes.Repeat([]byte{0x5a}, fsyncSize)
	for begun := time.Now(); len(times) < fsyncCount && time.Since(begun) < fsyncFor; {
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			return nil, err
		}
		if err := file.Sync(); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times, nil
}

func explainDisk(dir string, made bool, err error) Finding {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fail(fmt.Sprintf("%s is on a file system that is mounted read-only", dir), "find out why (dmesg: often an error of the disk) and mount it read-write")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fail(fmt.Sprintf("%s is on a file system that is full", dir), "make room; a voter without room stops voting")
	case errors.Is(err, syscall.ENOTDIR):
		return fail(fmt.Sprintf("%s is not a directory, or below something that is none", dir), "move that away, or correct data_dir")
	case errors.Is(err, fs.ErrPermission) && made:
		return fail(fmt.Sprintf("this user may not write in %s", dir), "run hacluster doctor as root or as the agent's user, or make the directory that user's")
	case errors.Is(err, fs.ErrPermission):
		return skip("%s is not there yet, and this user may not make it: run hacluster doctor as root", dir)
	default:
		return fail(fmt.Sprintf("write in %s: %v", dir, err), "find out what is wrong with the disk (dmesg)")
	}
}

// judgeSync: the deadline of one log write ends the agent, so the usual one must stay well below it.
func (f *facts) judgeSync(dir string, times []time.Duration) Finding {
	median, slowest := times[len(times)/2], times[len(times)-1]
	text := fmt.Sprintf("a durable write in %s takes %v, at most %v of %d", dir, short(median), short(slowest), len(times))
	limit := f.cfg.File.Raft.LogWriteTimeout
	const remedy = "use a disk of its own (gp3), not one that bursts or is shared"
	switch {
	case median > limit/2:
		return fail(fmt.Sprintf("%s: more than half of raft.log_write_timeout, which ends the agent", text), remedy)
	case median > fsyncSlow:
		return warn(text+": every commit waits for it", remedy)
	}
	return pass("%s", text)
}

// judgeSpace returns nil if there is nothing to say.
func judgeSpace(dir string) *Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		f := skip("look at the file system of %s: %v", dir, err).about("space")
		return &f
	}
	free := uint64(st.Bavail) * uint64(st.Bsize)
	if f := judgeFree(dir, free); f != nil {
		return f
	}
	if st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC {
		f := warn(fmt.Sprintf("%s is in memory: a reboot forgets the log, and the node joins as a new member", dir), "put data_dir on a disk").about("file system")
		return &f
	}
	return nil
}

func judgeFree(dir string, free uint64) *Finding {
	text := fmt.Sprintf("%d MiB are free for %s", free>>20, dir)
	const remedy = "make room; the store itself stays at a few megabytes"
	switch {
	case free < spaceFail:
		f := fail(text, remedy).about("space")
		return &f
	case free < spaceWarn:
		f := warn(text, remedy).about("space")
		return &f
	}
	return nil
}

// short rounds a duration to what a reader wants to know.
func short(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < time.Second:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(10 * time.Millisecond)
	}
}
