package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

const (
	// pageSize is bbolt's: damage comes in pages, as disks lose them.
	pageSize = 4096
	// rejoinLimit bounds how long a node that lost its store is waited for before others may lose theirs.
	rejoinLimit = time.Minute
)

// oneSickDisk is booked by every fault of a disk: the promise is about a minority.
const oneSickDisk = "one sick disk at a time"

func diskKinds() []*kind {
	return []*kind{
		{name: "disk-full", weight: 2, build: buildDiskFull},
		damage("disk-truncated", truncate),
		damage("disk-zeroed", overwrite("zeroed", zeros{})),
		damage("disk-overwritten", overwrite("overwritten", rand.Reader)),
	}
}

// buildDiskFull fills a node's disk to the last byte.
func buildDiskFull(r *run, d *dice) *act {
	n, hold := r.target(d), d.between(500*time.Millisecond, 12*time.Second)
	ballast := filepath.Join(filepath.Dir(n.DataDir()), "ballast")
	return &act{
		text: fmt.Sprintf("%s for %s", n.Name, seconds(hold)), node: n.Name, hold: hold, needs: []string{oneSickDisk},
		parts: []judge.Part{{What: judge.PartDisk, Node: n.Name}},
		begin: func(context.Context) error { return fill(ballast) },
		mend:  func(context.Context) error { return os.Remove(ballast) },
	}
}

// fill makes a file that takes all the space there is.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

// zeros is an endless file of zeros.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// injury damages a store. lost: nothing is left of it.
type injury struct {
	text string
	lost bool
	do   func(file *os.File, size int64) error
}

// damage is a kind of fault that damages the store of a node whose agent has been killed, and starts the agent again.
func damage(name string, choose func(*dice) injury) *kind {
	return &kind{name: name, weight: 1, build: func(r *run, d *dice) *act {
		n, injury, back := r.target(d), choose(d), time.Duration(d.Int64N(int64(2*time.Second)))
		keeper := r.keepers[n.Name]
		return &act{
			text: fmt.Sprintf("%s: %s", n.Name, injury.text), node: n.Name, needs: []string{oneSickDisk, agentOf(n)},
			parts: []judge.Part{{What: judge.PartVote, Node: n.Name}}, storeLost: injury.lost,
			begin: func(ctx context.Context) error {
				if err := r.allVote(ctx); err != nil {
					return fmt.Errorf("%w: not all nodes vote: %w", errNoFault, err)
				}
				defer keeper.let()
				if err := keeper.hold(ctx); err != nil {
					return err
				}
				if err := injury.apply(n); err != nil {
					return err
				}
				return pause(ctx, back)
			},
			mend: func(ctx context.Context) error { r.awaitVote(ctx, n); return nil },
		}
	}}
}

// apply damages the node's bbolt file.
func (i injury) apply(n *lab.Node) error {
	file, err := os.OpenFile(filepath.Join(n.DataDir(), "raft", "raft.db"), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("damage the store: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = i.do(file, info.Size())
	}
	if err != nil {
		return fmt.Errorf("damage the store: %w", err)
	}
	return nil
}

// awaitVote waits until the node votes again; if it does not, the end of the round will tell.
func (r *run) awaitVote(ctx context.Context, n *lab.Node) {
	ctx, cancel := context.WithTimeout(ctx, rejoinLimit)
	defer cancel()
	for pause(ctx, lookEvery/4) == nil {
		if s, err := look(ctx, n); err == nil && s.Status.Phase == lab.PhaseRunning {
			return
		}
	}
}

func truncate(d *dice) injury {
	part := pick(d, []int{0, 25, 50, 75})
	return injury{
		text: fmt.Sprintf("store truncated to %d %%", part), lost: part == 0,
		do: func(file *os.File, size int64) error { return file.Truncate(size * int64(part) / 100) },
	}
}

// overwrite writes over the whole store, its first pages (which say where everything is), or a few pages somewhere.
func overwrite(verb string, with io.Reader) func(*dice) injury {
	return func(d *dice) injury {
		where, place, pages := d.IntN(3), d.Float64(), int64(1+d.IntN(4))
		text := []string{"the whole store", "its first two pages", fmt.Sprintf("%d pages of the store", pages)}[where]
		return injury{
			text: text + " " + verb, lost: where == 0,
			do: func(file *os.File, size int64) error {
				from, length := int64(0), size
				switch where {
				case 1:
					length = 2 * pageSize
				case 2:
					from = int64(place*float64(size/pageSize)) * pageSize
					length = min(pages*pageSize, size-from)
				}
				_, err := io.Copy(io.NewOffsetWriter(file, from), io.LimitReader(with, length))
				return err
			},
		}
	}
}
