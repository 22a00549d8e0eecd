package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report as a table for people: one line for each finding, and its remedy below it.
func (r Report) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, f := range r.Findings {
		text := f.Text
		if f.About != "" {
			text = f.About + ": " + text
		}
		for i, line := range strings.Split(text, "\n") {
			if i == 0 {
				fmt.Fprintf(tw, "%s\t%s\t%s\n", f.Status.mark(), f.Check, line)
			} else {
				fmt.Fprintf(tw, "\t\t%s\n", line)
			}
		}
		if f.Remedy != "" && f.Status != Pass {
			fmt.Fprintf(tw, "\t\t-> %s\n", f.Remedy)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d failed, %d warnings, %d passed, %d not known or not needed\n", r.Count(Fail), r.Count(Warn), r.Count(Pass), r.Count(Skip))
	return err
}

// mark makes failures easy to find for the eye and for grep.
func (s Status) mark() string {
	if s == Fail {
		return "FAIL"
	}
	return string(s)
}

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Report
		Failed   int `json:"failed"`
		Warnings int `json:"warnings"`
	}{r, r.Count(Fail), r.Count(Warn)})
}
