package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	stealOver = time.Second
	// stealWarn is the share of the time in which this machine wanted a CPU and the hypervisor gave it to another. At a tenth, pauses reach
	// the length of adverts in the fast profile.
	stealWarn = 0.10
)

func (f *facts) examineCPU(ctx context.Context) Finding {
	before, err := readCPU("/proc/stat")
	if err != nil {
		return skip("%v", err)
	}
	select {
	case <-time.After(stealOver):
	case <-ctx.Done():
		return skip("not measured: %v", ctx.Err())
	}
	after, err := readCPU("/proc/stat")
	if err != nil {
		return skip("%v", err)
	}
	share := after.stolenSince(before)
	text := fmt.Sprintf("the hypervisor withheld %.0f%% of the CPU time in one second", 100*share)
	if share >= stealWarn {
		return warn(text, "use an instance type with its own cores (not burstable), or profile: default")
	}
	return pass("%s", text)
}

// cpuTimes are of all CPUs together, in ticks (proc_stat(5)).
type cpuTimes struct{ total, steal uint64 }

// stolenSince returns the share of the time that was stolen, 0 to 1.
func (c cpuTimes) stolenSince(before cpuTimes) float64 {
	if c.total <= before.total || c.steal < before.steal {
		return 0
	}
	return float64(c.steal-before.steal) / float64(c.total-before.total)
}

func readCPU(path string) (cpuTimes, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return cpuTimes{}, fmt.Errorf("read CPU times: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return parseCPU(line)
}

// parseCPU reads "cpu user nice system idle iowait irq softirq steal guest guest_nice"; the last two are part of the first two.
func parseCPU(line string) (cpuTimes, error) {
	const steal, counted = 7, 8
	fields := strings.Fields(line)
	if len(fields) < 1+counted || fields[0] != "cpu" {
		return cpuTimes{}, errors.New("read CPU times: the kernel does not tell of steal")
	}
	var c cpuTimes
	for i, text := range fields[1 : 1+counted] {
		ticks, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return cpuTimes{}, fmt.Errorf("read CPU times: %w", err)
		}
		c.total += ticks
		if i == steal {
			c.steal = ticks
		}
	}
	return c, nil
}
