package costs

import (
	"maps"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab/show"
)

// Report is all that was measured, as it is written to a JSON file.
type Report struct {
	Machine  show.Machine      `json:"machine"`
	Versions map[string]string `json:"versions"`
	Date     time.Time         `json:"date"`
	Program  Program           `json:"program"`
	Profiles []Profile         `json:"profiles"`
}

// Program is the file that runs.
type Program struct {
	Bytes    int64 `json:"bytes"`
	Stripped bool  `json:"stripped"` // no symbol table
}

// Profile is what a cluster with one profile of the configuration takes.
type Profile struct {
	Name string `json:"profile"`
	// Seconds that were measured.
	Seconds float64 `json:"seconds"`
	// Busy and Stolen are how much of the machine's CPU time was used, by whatever ran there, and how much the hypervisor gave
	// to others, in percent: on a busy machine everything takes more.
	Busy   float64 `json:"machine_busy_percent"`
	Stolen float64 `json:"machine_stolen_percent"`
	Nodes  []Node  `json:"nodes"`
	// Starts are times from the start of a Backup's agent to a status with a known leader, in milliseconds; asking for the
	// status, which takes AskMS by itself, is included.
	Starts []float64 `json:"start_to_ready_ms"`
	AskMS  float64   `json:"status_ms"`
}

// Node is what one node takes.
type Node struct {
	Name    string  `json:"node"`
	Role    string  `json:"role"`
	CPU     float64 `json:"cpu_percent"` // of one core
	Wakeups float64 `json:"wakeups_per_second"`
	Size
	Wire map[Class]Traffic `json:"wire"`
	// Calls are EC2's by action, DryRuns included.
	Calls map[string]float64 `json:"ec2_calls_per_hour"`
	// Entries of the Raft log. While nothing changes there must be none.
	Entries float64 `json:"raft_entries_per_hour"`
	Lines   float64 `json:"log_lines_per_hour"`
	Written float64 `json:"disk_bytes_per_hour"`
}

// Size is what a process holds at the end of the measurement.
type Size struct {
	RSS     int64 `json:"rss_bytes"`
	Peak    int64 `json:"rss_peak_bytes"`
	Anon    int64 `json:"rss_anon_bytes"` // of RSS: heap and stacks
	Threads int   `json:"threads"`
}

// Traffic is one class of packets. Bytes are those of Ethernet frames.
type Traffic struct {
	Sent     Rate `json:"sent"`
	Received Rate `json:"received"`
}

// Rate is per second.
type Rate struct {
	Packets float64 `json:"packets_per_second"`
	Bytes   float64 `json:"bytes_per_second"`
}

// sample is all counters of one node at one moment.
type sample struct {
	at      time.Time
	process process
	flows   map[Class]flow
	applied uint64         // index in the Raft log
	lines   int            // of the agent's log
	calls   map[string]int // that EC2 received from the node, by action
}

// between turns the counters of two moments into rates.
func between(before, after sample) Node {
	seconds := after.at.Sub(before.at).Seconds()
	hours := seconds / time.Hour.Seconds()
	n := Node{
		CPU:     100 * (after.process.CPU - before.process.CPU).Seconds() / seconds,
		Wakeups: float64(after.process.Wakeups-before.process.Wakeups) / seconds,
		Size: Size{
			RSS: after.process.RSS, Peak: after.process.Peak, Anon: after.process.Anon, Threads: after.process.Threads,
		},
		Wire:    make(map[Class]Traffic),
		Calls:   make(map[string]float64),
		Entries: float64(after.applied-before.applied) / hours,
		Lines:   float64(after.lines-before.lines) / hours,
		Written: float64(after.process.Written-before.process.Written) / hours,
	}
	for _, class := range classes() {
		was, is := before.flows[class], after.flows[class]
		n.Wire[class] = Traffic{Sent: rate(was.Sent, is.Sent, seconds), Received: rate(was.Received, is.Received, seconds)}
	}
	for action, count := range after.calls {
		if made := count - before.calls[action]; made > 0 {
			n.Calls[action] = float64(made) / hours
		}
	}
	return n
}

func rate(was, is count, seconds float64) Rate {
	return Rate{Packets: float64(is.Packets-was.Packets) / seconds, Bytes: float64(is.Bytes-was.Bytes) / seconds}
}

// strain returns the parts of the machine's time that were used, and that were stolen, in percent.
func strain(before, after machineTime) (busy, stolen float64) {
	total := float64(after.total - before.total)
	if total == 0 {
		return 0, 0
	}
	stolen = 100 * float64(after.stolen-before.stolen) / total
	return 100 - stolen - 100*float64(after.idle-before.idle)/total, stolen
}

// Roles returns the roles that nodes had, the Master's first, each with the mean of its nodes; sizes are the largest.
func (p Profile) Roles() []Node {
	byRole := make(map[string][]Node)
	for _, n := range p.Nodes {
		byRole[n.Role] = append(byRole[n.Role], n)
	}
	names := slices.SortedFunc(maps.Keys(byRole), func(a, b string) int { return masterFirst(a) - masterFirst(b) })
	var roles []Node
	for _, name := range names {
		roles = append(roles, mean(byRole[name]))
	}
	return roles
}

func masterFirst(role string) int {
	if role == roleMaster {
		return 0
	}
	return 1
}

func mean(nodes []Node) Node {
	share := 1 / float64(len(nodes))
	m := Node{Role: nodes[0].Role, Wire: make(map[Class]Traffic), Calls: make(map[string]float64)}
	for _, n := range nodes {
		m.CPU += n.CPU * share
		m.Wakeups += n.Wakeups * share
		m.Entries += n.Entries * share
		m.Lines += n.Lines * share
		m.Written += n.Written * share
		m.Size = larger(m.Size, n.Size)
		for class, t := range n.Wire {
			sum := m.Wire[class]
			m.Wire[class] = Traffic{Sent: sum.Sent.plus(t.Sent, share), Received: sum.Received.plus(t.Received, share)}
		}
		for action, calls := range n.Calls {
			m.Calls[action] += calls * share
		}
	}
	return m
}

func (r Rate) plus(other Rate, share float64) Rate {
	return Rate{Packets: r.Packets + other.Packets*share, Bytes: r.Bytes + other.Bytes*share}
}

func larger(a, b Size) Size {
	return Size{RSS: max(a.RSS, b.RSS), Peak: max(a.Peak, b.Peak), Anon: max(a.Anon, b.Anon), Threads: max(a.Threads, b.Threads)}
}
