package costs

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is one line of the table: what is measured, and how a node's figure reads.
type row struct {
	title string
	cell  func(Node) string
}

func rows() []row {
	all := []row{
		{"CPU, % of one core", func(n Node) string { return number(n.CPU) }},
		{"wake-ups/s", func(n Node) string { return number(n.Wakeups) }},
		{"resident memory, MiB", func(n Node) string { return number(mebibytes(n.RSS)) }},
		{"of that heap and stacks", func(n Node) string { return number(mebibytes(n.Anon)) }},
		{"most resident memory, MiB", func(n Node) string { return number(mebibytes(n.Peak)) }},
		{"threads", func(n Node) string { return strconv.Itoa(n.Threads) }},
	}
	for _, class := range classes() {
		title := map[Class]string{VRRP: "VRRP", Cluster: "Raft and rpc", AWS: "EC2 and metadata"}[class]
		all = append(all,
			row{title + ", packets/s sent + received", func(n Node) string {
				return number(n.Wire[class].Sent.Packets) + " + " + number(n.Wire[class].Received.Packets)
			}},
			row{title + ", bytes/s sent + received", func(n Node) string {
				return number(n.Wire[class].Sent.Bytes) + " + " + number(n.Wire[class].Received.Bytes)
			}})
	}
	return append(all,
		row{"EC2 calls/h", func(n Node) string { return calls(n.Calls) }},
		row{"Raft log entries/h", func(n Node) string { return number(n.Entries) }},
		row{"lines logged/h", func(n Node) string { return number(n.Lines) }},
		row{"disk bytes/h", func(n Node) string { return number(n.Written) }})
}

// cells returns the table with a column for each role in each profile.
func (r *Report) cells() [][]string {
	header := []string{"per node"}
	var columns []Node
	for _, p := range r.Profiles {
		for _, n := range p.Roles() {
			header = append(header, p.Name+": "+n.Role)
			columns = append(columns, n)
		}
	}
	table := [][]string{header}
	for _, row := range rows() {
		line := []string{row.title}
		for _, n := range columns {
			line = append(line, row.cell(n))
		}
		table = append(table, line)
	}
	return table
}

// notes are the figures that are no node's, and what to know about the others.
func (r *Report) notes() []string {
	stripped := "not stripped"
	if r.Program.Stripped {
		stripped = "stripped"
	}
	notes := []string{fmt.Sprintf("Program: %s MiB (%s).", number(mebibytes(r.Program.Bytes)), stripped)}
	for _, p := range r.Profiles {
		notes = append(notes, fmt.Sprintf(
			"Profile %s: %s s of peace; the machine was %s %% busy, with everything that ran there, and %s %% of its time was stolen. "+
				"From the start of a Backup's agent to a status with a known leader: %s; asking takes %s ms of it.",
			p.Name, number(p.Seconds), number(p.Busy), number(p.Stolen), starts(p.Starts), number(p.AskMS)))
	}
	return append(notes, fmt.Sprintf("Bytes are of Ethernet frames; ARP is left out. Three nodes, %s, %d CPUs, kernel %s, %s, %s.",
		r.Machine.CPU, r.Machine.CPUs, r.Machine.Kernel, r.Versions["hacluster"], r.Date.Format("2006-01-02")))
}

// WriteTable writes the report for a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range r.cells() {
		fmt.Fprintln(table, strings.Join(line, "\t")+"\t")
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	_, err := fmt.Fprintln(w, "\n"+strings.Join(r.notes(), "\n"))
	return err
}

// Markdown returns the report as a table with notes.
func (r *Report) Markdown() string {
	var text strings.Builder
	for i, line := range r.cells() {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			text.WriteString("|---|" + strings.Repeat("---:|", len(line)-1) + "\n")
		}
	}
	for _, note := range r.notes() {
		text.WriteString("\n" + note + "\n")
	}
	return text.String()
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func calls(byAction map[string]float64) string {
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(byAction)) {
		parts = append(parts, action+" "+number(byAction[action]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func starts(ms []float64) string {
	if len(ms) == 0 {
		return "not measured"
	}
	sorted := slices.Sorted(slices.Values(ms))
	n := len(sorted)
	return fmt.Sprintf("median %s ms (%s-%s, n=%d)", number((sorted[(n-1)/2]+sorted[n/2])/2), number(sorted[0]), number(sorted[n-1]), n)
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// number rounds to three digits or to whole numbers, whichever says more.
func number(v float64) string {
	switch {
	case v == 0 || v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
