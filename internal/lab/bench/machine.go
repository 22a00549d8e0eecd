package bench

import (
	"fmt"
	"os"
	"strings"
)

// ticks are the machine's CPU times since boot, in clock ticks (proc(5), /proc/stat).
type ticks struct{ total, idle, stolen float64 }

// Load says how busy the machine was during a repetition, other programs included.
type Load struct {
	// Stolen and Busy are shares of all cores' time: taken by the hypervisor for others, and used.
	Stolen float64 `json:"stolen"`
	Busy   float64 `json:"busy"`
	// Average is the load average over one minute, at the end.
	Average float64 `json:"load_average"`
}

func readTicks() (ticks, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}, fmt.Errorf("read CPU times: %w", err)
	}
	return parseTicks(string(text))
}

func parseTicks(text string) (ticks, error) {
	line, _, _ := strings.Cut(text, "\n")
	var user, nice, system, idle, wait, irq, softirq, steal float64
	if _, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal); err != nil {
		return ticks{}, fmt.Errorf("read CPU times %q: %w", line, err)
	}
	return ticks{total: user + nice + system + idle + wait + irq + softirq + steal, idle: idle + wait, stolen: steal}, nil
}

// loadSince returns the load since before.
func loadSince(before ticks) (Load, error) {
	now, err := readTicks()
	if err != nil {
		return Load{}, err
	}
	load := between(before, now)
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &load.Average)
	}
	if err != nil {
		return Load{}, fmt.Errorf("read load average: %w", err)
	}
	return load, nil
}

func between(a, b ticks) Load {
	total := b.total - a.total
	if total <= 0 {
		return Load{}
	}
	return Load{Stolen: (b.stolen - a.stolen) / total, Busy: 1 - (b.idle-a.idle+b.stolen-a.stolen)/total}
}
