package show

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

// WriteVerdict tells what a chaos run came to.
func WriteVerdict(w io.Writer, run judge.Run, v judge.Verdict) error {
	f := v.Figures
	fmt.Fprintf(w, "\n%d nodes, %v, seed %d\n\n", len(run.Nodes), f.Duration.Round(time.Second), run.Seed)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, kinds := range rows(slices.Sorted(maps.Keys(f.Faults)), 3) {
		for _, kind := range kinds {
			fmt.Fprintf(table, "%s\t%d\t  ", kind, f.Faults[kind])
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range figureLines(v) {
		fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, d := range v.Doubts {
		fmt.Fprintln(w, "not judged:", d)
	}
	for _, r := range v.Residuals {
		fmt.Fprintln(w, "residual (docs/SAFETY.md)", r)
	}
	for _, violation := range v.Violations {
		fmt.Fprintln(w, "VIOLATION", violation)
	}
	return nil
}

// figureLines are the figures of a run with what they are called.
func figureLines(v judge.Verdict) [][2]string {
	f := v.Figures
	total := 0
	for _, n := range f.Faults {
		total += n
	}
	return [][2]string{
		{"faults", fmt.Sprint(total)},
		{"every agent killed, and nothing forgotten", fmt.Sprintf("%d of %d times", f.Remembered, f.Faults[judge.KindAllKilled])},
		{"elections", fmt.Sprint(f.Elections)},
		{"moves of the address", fmt.Sprint(f.Moves)},
		{"mutating EC2 calls", fmt.Sprintf("%d by nodes, of which %d came or landed late; %d by people", f.Calls, f.LateCalls, f.ByPeople)},
		{"reigns on the wire", fmt.Sprintf("%d in %d adverts", f.Reigns, f.Adverts)},
		{"served, with a quorum, a healthy node, EC2, and no person's move", availability(f.AbleWithEC2)},
		{"served, with a quorum and a healthy node", availability(f.Able)},
		{"served, all in all", availability(f.All)},
		{"residuals of docs/SAFETY.md", fmt.Sprint(len(v.Residuals))},
		{"violations", fmt.Sprint(len(v.Violations))},
	}
}

func availability(a judge.Availability) string {
	text := fmt.Sprintf("%.3f %% of %d requests in %v; %s", a.Share(), a.Requests, a.Time.Round(time.Second), count(a.Gaps, "gap"))
	if a.Gaps > 0 {
		text += fmt.Sprintf(", the longest %.2f s at +%s", a.Longest.Seconds(), sinceBeginning(a.LongestAt))
	}
	return text
}

func rows[T any](list []T, width int) [][]T { return slices.Collect(slices.Chunk(list, width)) }

// WriteSummary writes run and verdict as JSON.
func WriteSummary(path string, run judge.Run, v judge.Verdict) error {
	data, err := json.MarshalIndent(struct {
		judge.Run
		judge.Verdict
	}{run, v}, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// invariants lists the broken ones, in order.
func invariants(v judge.Verdict) string {
	broken := make(map[string]bool)
	for _, violation := range v.Violations {
		broken[violation.Invariant] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(broken)), ", ")
}
