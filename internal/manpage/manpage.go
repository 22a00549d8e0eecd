// Package manpage writes man pages from a tree of commands: what they say is what --help says.
//
// cobra has a generator of its own, which goes by way of Markdown and brings a Markdown parser and a YAML library into the program.
package manpage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Header is what stands at the edges of each page.
type Header struct {
	Date    time.Time // zero: none is printed
	Version string
}

// ExitStatus is the annotation of a command that says what its exit statuses mean, a line for each.
const ExitStatus = "exit_status"

// completion is cobra's own command. Its help is about shells, so it has no page.
const completion = "completion"

// WriteTree writes a page of section 1 for root and each command below it into the directory dir, which must exist, and returns how many.
// Hidden commands have none.
func WriteTree(dir string, root *cobra.Command, h Header) (int, error) {
	pages := 0
	for _, cmd := range visible(root) {
		n, err := WriteTree(dir, cmd, h)
		if err != nil {
			return pages, err
		}
		pages += n
	}
	file := filepath.Join(dir, name(root)+".1")
	if err := os.WriteFile(file, []byte(Page(root, h)), 0o644); err != nil {
		return pages, fmt.Errorf("write man page: %w", err)
	}
	return pages + 1, nil
}

// Page returns the page of one command in man(7).
func Page(cmd *cobra.Command, h Header) string {
	p := &page{}
	date := ""
	if !h.Date.IsZero() {
		date = h.Date.UTC().Format(time.DateOnly)
	}
	p.line(".TH %s 1 %s %s %s", quote(strings.ToUpper(name(cmd))), quote(date), quote(cmd.Root().Name()+" "+h.Version), quote(cmd.Root().Name()))
	p.section("NAME")
	p.line(`%s \- %s`, escape(name(cmd)), escape(lowerFirst(cmd.Short)))
	p.section("SYNOPSIS")
	p.synopsis(cmd)
	p.section("DESCRIPTION")
	if cmd.Long != "" {
		p.text(cmd.Long)
	} else {
		p.text(cmd.Short + ".")
	}
	p.commands(cmd)
	p.flags(cmd)
	if text := cmd.Annotations[ExitStatus]; text != "" {
		p.section("EXIT STATUS")
		p.verbatim(text)
	}
	if cmd.Example != "" {
		p.section("EXAMPLES")
		p.verbatim(cmd.Example)
	}
	p.seeAlso(cmd)
	return p.String()
}

func name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// visible returns the commands that have pages.
func visible(cmd *cobra.Command) []*cobra.Command {
	var found []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != completion {
			found = append(found, c)
		}
	}
	return found
}

type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", title) }

// text sets paragraphs, which empty lines part.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			p.line("%s", escape(strings.TrimSpace(line)))
		}
	}
}

func (p *page) verbatim(text string) {
	p.line(".nf")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		p.line("%s", escape(line))
	}
	p.line(".fi")
}

func (p *page) synopsis(cmd *cobra.Command) {
	if !cmd.Runnable() {
		p.line(`.B %s`, escape(cmd.CommandPath()))
		p.line(`.I command`)
		return
	}
	rest := strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())
	p.line(`.B %s`, escape(cmd.CommandPath()))
	if rest = strings.TrimSpace(rest); rest != "" {
		p.line("%s", escape(rest))
	}
}

func (p *page) commands(cmd *cobra.Command) {
	below := visible(cmd)
	if len(below) == 0 {
		return
	}
	p.section("COMMANDS")
	for _, c := range below {
		p.line(".TP")
		p.line(`.BR %s (1)`, escape(name(c)))
		p.line("%s", escape(c.Short+"."))
	}
}

func (p *page) flags(cmd *cobra.Command) {
	flags := cmd.NonInheritedFlags()
	if !flags.HasAvailableFlags() {
		return
	}
	p.section("OPTIONS")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		p.line(".TP")
		p.line("%s", flagNames(f))
		_, usage := pflag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		p.line("%s", escape(usage))
	})
}

func flagNames(f *pflag.Flag) string {
	text := `\fB` + escape("--"+f.Name) + `\fR`
	if f.Shorthand != "" {
		text = `\fB` + escape("-"+f.Shorthand) + `\fR, ` + text
	}
	if value, _ := pflag.UnquoteUsage(f); value != "" {
		text += ` \fI` + escape(value) + `\fR`
	}
	return text
}

func (p *page) seeAlso(cmd *cobra.Command) {
	var others []string
	if cmd.HasParent() {
		others = append(others, name(cmd.Parent()))
		for _, c := range visible(cmd.Parent()) {
			if c != cmd {
				others = append(others, name(c))
			}
		}
	}
	if len(others) == 0 {
		return
	}
	p.section("SEE ALSO")
	for i, other := range others {
		comma := ","
		if i == len(others)-1 {
			comma = ""
		}
		p.line(`.BR %s (1)%s`, escape(other), comma)
	}
}

// escape keeps groff from reading text as its language: a backslash, a line that begins with a control character, and the hyphens of
// options, which must be copied from the page as they are.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "`", "\\`").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// quote makes text one argument of a request.
func quote(text string) string { return `"` + strings.ReplaceAll(escape(text), `"`, `\(dq`) + `"` }

// lowerFirst: what follows the dash in NAME is no sentence. A word that is all capitals stays.
func lowerFirst(text string) string {
	if len(text) < 2 || strings.ToUpper(text[:2]) == text[:2] {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}
