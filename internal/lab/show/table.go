package show

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// columns are the metrics of the table, by their JSON names, with what people call them.
func columns() [][2]string {
	return [][2]string{
		{"noticed_ms", "noticed"},
		{"fault_to_first_ec2_call_ms", "1st EC2 call"},
		{"fault_to_first_associate_ms", "1st associate"},
		{"longest_gap_ms", "longest gap"},
		{"summed_gap_ms", "summed gap"},
		{"failed_requests", "failed req."},
		{"moves", "moves"},
		{"ec2_mutating", "EC2 calls"},
		{"overlapping_reigns", "overlaps"},
	}
}

// WriteTable writes median and, where they differ, minimum and maximum of each metric. Times are in milliseconds.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "fault\tn\t")
	for _, c := range columns() {
		fmt.Fprint(table, c[1], "\t")
	}
	fmt.Fprintln(table)
	for _, result := range r.Results {
		fmt.Fprintf(table, "%s\t%d\t", result.Fault, len(result.Repetitions))
		for _, c := range columns() {
			fmt.Fprint(table, result.Summary[c[0]].String(), "\t")
		}
		fmt.Fprintln(table)
	}
	fmt.Fprintln(table, "median (min-max), times in ms")
	return table.Flush()
}

// String tells the median and, where they differ, minimum and maximum.
func (s Spread) String() string {
	switch {
	case s.N == 0:
		return "-"
	case s.Min == s.Max:
		return Number(s.Median)
	default:
		return fmt.Sprintf("%s (%s-%s)", Number(s.Median), Number(s.Min), Number(s.Max))
	}
}

// Number rounds for people: nobody measures microseconds of a second.
func Number(v float64) string {
	if v < 100 && v != float64(int(v)) {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
