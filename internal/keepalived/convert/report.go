package convert

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hacluster/hacluster/internal/keepalived"
)

// Result says how far a conversion came.
type Result string

// The results.
const (
	Complete   Result = "complete"   // the file passes "hacluster config check"
	Incomplete Result = "incomplete" // it can be used once the open steps are taken
	Refused    Result = "refused"    // there is no file
)

// Finding is what became of a statement, or of several that say the same.
type Finding struct {
	At     []string `json:"at"`               // file:line
	What   string   `json:"what"`             // the statement, or a line of a script
	Became string   `json:"became,omitempty"` // the key of hacluster.yaml
	Why    string   `json:"why,omitempty"`
}

// Step is something that only the operator can do.
type Step struct {
	What    string `json:"what"`
	Command string `json:"command,omitempty"` // to run for it
}

// Report is what became of everything. Each statement of the files is in one of the four parts.
type Report struct {
	Result    Result    `json:"result"`
	Open      []Step    `json:"open"` // steps without which the file is refused, or is wrong for a node
	Converted []Finding `json:"converted"`
	Changed   []Finding `json:"changed"` // converted, and means something else now
	Dropped   []Finding `json:"dropped"` // not needed, or not known
	Refused   []Finding `json:"refused"` // nothing can be written while these are there
}

func (r *Report) converted(at keepalived.Position, what, became string) {
	record(&r.Converted, at, Finding{What: what, Became: became})
}

func (r *Report) changed(at keepalived.Position, what, became, why string) {
	record(&r.Changed, at, Finding{What: what, Became: became, Why: why})
}

func (r *Report) dropped(at keepalived.Position, what, why string) {
	record(&r.Dropped, at, Finding{What: what, Why: why})
}

func (r *Report) refused(at keepalived.Position, what, why string) {
	record(&r.Refused, at, Finding{What: what, Why: why})
}

func (r *Report) leaveOpen(what, command string) {
	if s := (Step{What: clean(what), Command: command}); !slices.Contains(r.Open, s) {
		r.Open = append(r.Open, s)
	}
}

// record adds a finding, or its position to one that says the same.
func record(part *[]Finding, at keepalived.Position, f Finding) {
	f.What, f.Became, f.Why = clean(f.What), clean(f.Became), clean(f.Why)
	place := clean(at.String())
	for i, other := range *part {
		if other.What == f.What && other.Became == f.Became && other.Why == f.Why {
			if !slices.Contains(other.At, place) {
				(*part)[i].At = append(other.At, place)
			}
			return
		}
	}
	f.At = []string{place}
	*part = append(*part, f)
}

func (r *Report) settle() {
	switch {
	case len(r.Refused) > 0:
		r.Result = Refused
	case len(r.Open) > 0:
		r.Result = Incomplete
	default:
		r.Result = Complete
	}
}

// secretPattern finds access keys, and what is assigned to something called secret, token or password.
const secretPattern = `\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|(?i)\b\w*(?:secret|token|passwd|password)\w*["']?\s*[=:]\s*["']?[^\s"']+|` +
	`--[\w-]*(?:secret|token|passwd|password)[\w-]*[ =]\S+`

// secretKeyLength is that of the secret of an access key, which looks like any word of base64.
const secretKeyLength = 40

// redact removes secrets.
func redact(text string) string {
	text = regexp.MustCompile(secretPattern).ReplaceAllString(text, "[removed]")
	return regexp.MustCompile(`[A-Za-z0-9/+]{40,}`).ReplaceAllStringFunc(text, func(word string) string {
		mixed := regexp.MustCompile(`[0-9]`).MatchString(word) && strings.ToLower(word) != word && strings.ToUpper(word) != word
		if len(word) == secretKeyLength && mixed && word[0] != '/' {
			return "[removed]"
		}
		return word
	})
}

// holdsSecret reports whether a command line may not be copied.
func holdsSecret(text string) bool { return redact(text) != text }

// clean makes one line that can be shown of what was read in files.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, redact(strings.ToValidUTF8(text, "?")))
	return strings.Join(strings.Fields(text), " ")
}

// Write prints the report for people.
func (r Report) Write(w io.Writer) error {
	head := map[Result]string{
		Complete:   "Converted. Check the file with 'hacluster config check'.",
		Incomplete: "Converted, with steps left open: the file can be used once they are taken.",
		Refused:    "Not converted: something in the files has no counterpart. No file was written.",
	}
	var b strings.Builder
	b.WriteString(head[r.Result] + "\n")
	if r.Result == Incomplete {
		writeSteps(&b, r.Open)
	}
	writeExplained(&b, "REFUSED", r.Refused)
	writeConverted(&b, r.Converted)
	writeExplained(&b, "CHANGED IN MEANING", r.Changed)
	writeExplained(&b, "DROPPED", r.Dropped)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSteps(b *strings.Builder, steps []Step) {
	b.WriteString("\nOPEN STEPS\n")
	for i, s := range steps {
		b.WriteString(wrap(s.What, fmt.Sprintf("  %d. ", i+1), "     "))
		if s.Command != "" {
			b.WriteString("       " + s.Command + "\n")
		}
	}
}

func writeConverted(b *strings.Builder, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	b.WriteString("\nCONVERTED\n")
	tw := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(tw, "  %s\t-> %s\t%s\n", f.What, f.Became, strings.Join(f.At, ", "))
	}
	_ = tw.Flush() // a strings.Builder takes everything
}

func writeExplained(b *strings.Builder, title string, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	b.WriteString("\n" + title + "\n")
	for _, f := range findings {
		head := f.What
		if f.Became != "" {
			head += "  -> " + f.Became
		}
		fmt.Fprintf(b, "  %s  (%s)\n", head, strings.Join(f.At, ", "))
		if f.Why != "" {
			b.WriteString(wrap(f.Why, "      ", "      "))
		}
	}
}

// width is that of the lines of a report and of comments.
const width = 118

// wrap breaks text at blanks.
func wrap(text, first, rest string) string {
	var b strings.Builder
	line := first
	for _, word := range strings.Fields(text) {
		if len(line) > len(rest) && len(line)+len(word) >= width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = rest
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}
