package life

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// Report is a life, and where it was lived.
type Report struct {
	// About has no results of faults, but machine, versions, command and date.
	About show.Report `json:"about"`
	Steps []Result    `json:"steps"`
}

// pageText is docs/LIFE.md.
const pageText = `# The life of a cluster

Made by ` + "`{{.About.Command}}`" + ` on {{date .About.Date}}. Do not edit: ` + "`make life`" + ` writes this page.

| | |
|---|---|
| machine | {{.About.Machine.CPUs}} cores, {{.About.Machine.CPU}}, {{.About.Machine.MemoryMB}} MB; kernel {{.About.Machine.Kernel}} |
{{- range $name, $version := .About.Versions}}
| {{$name}} | {{$version}} |
{{- end}}

One cluster in the lab ([LAB.md](LAB.md)), from its first boot to the loss of its quorum and back: the built programs, HAProxy, Raft, TLS and packets
are real, EC2 is the emulator. All the time a client asks for a page through the Elastic IP, every {{every}}, over a new connection.

| step | client gap, ms | but for requests in service at a move | failed requests | moves | AssociateAddress | DisassociateAddress |
|---|---|---|---|---|---|---|
{{- range $i, $s := .Steps}}
| [{{chapter $i $s}}](#{{anchor $i $s}}) | {{number .Clients.Silence}} | {{number .Clients.SilenceBesideCut}} | {{failed .}} | {{.Moves}} | {{.Associate}} | {{.Disassociate}} |
{{- end}}

*Client gap*: the longest time between two answers in which a request began that failed; 0 if none did. A request that is *in service* at the very moment of a
move is cut, on AWS as here: its connection was to the old holder. It is counted, and told apart. The probe sees {{every}} at best.

Each step checks what must be so afterwards: who holds, who votes, what is said. The run fails if the wire shows two Masters, or if there is a call without a
quorum; and this page is written only if each step kept its promise: no request is lost but those in service at the move, wherever a healthy node could
serve, and no call is made that has no use. The one exception is the last step, which says why. ` + "`TestLife`" + ` (internal/lab/life) is the same story.

What is played: ` + "`systemctl`, `ssh` and `scp`" + ` are signals, starts and copies; machines die by losing their link and all their processes at once, and are new when their
disk is empty. Everything else was typed as it stands here. Answers are shown in part; paths are those of an installed node.
{{range $i, $s := .Steps}}
## {{chapter $i $s}}

{{.Story}}

` + "```" + `
{{range .Screen}}{{entry .}}{{end}}` + "```" + `

{{sentence .}}
{{end -}}
`

// Page makes docs/LIFE.md.
func (r Report) Page() (string, error) {
	page, err := template.New("life").Funcs(template.FuncMap{
		"date":   func(t interface{ Format(string) string }) string { return t.Format("2 January 2006, 15:04 UTC") },
		"every":  func() string { return strings.ReplaceAll(probe.Every.String(), "ms", " ms") },
		"number": show.Number, "failed": failed, "entry": entryText, "sentence": sentence, "chapter": chapter, "anchor": anchor,
	}).Parse(pageText)
	if err != nil {
		return "", fmt.Errorf("make page: %w", err)
	}
	var out strings.Builder
	if err := page.Execute(&out, r); err != nil {
		return "", fmt.Errorf("make page: %w", err)
	}
	return out.String(), nil
}

func chapter(i int, r Result) string { return fmt.Sprintf("%d. %s", i+1, r.Name) }

// anchor is what GitHub makes of the heading.
func anchor(i int, r Result) string {
	return strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(chapter(i, r), ".", ""), " ", "-"))
}

func failed(r Result) string {
	text := fmt.Sprintf("%d of %d", r.Clients.Failed, r.Clients.Requests)
	if r.Clients.CutInFlight > 0 {
		text += fmt.Sprintf(", %d in service", r.Clients.CutInFlight)
	}
	return text
}

func sentence(r Result) string {
	clients := fmt.Sprintf("None of %d requests failed", r.Clients.Requests)
	if c := r.Clients; c.Failed > 0 {
		clients = fmt.Sprintf("%d of %d requests failed", c.Failed, c.Requests)
		if c.CutInFlight > 0 {
			clients += fmt.Sprintf(", %d of them in service when the address moved", c.CutInFlight)
		}
		clients += fmt.Sprintf("; the longest time without an answer was %s ms", show.Number(c.Silence))
	}
	return fmt.Sprintf("%s. The address %s: %d %s and %d %s. The step took %.1f s.",
		clients, times(r.Moves), r.Associate, associate, r.Disassociate, disassociate, r.Took.Seconds())
}

func times(n int) string {
	switch n {
	case 0:
		return "stayed where it was"
	case 1:
		return "moved once"
	default:
		return fmt.Sprintf("moved %d times", n)
	}
}

// entryText is an entry as a terminal shows it.
func entryText(e Entry) string {
	if e.Command == "" {
		return "# " + strings.Join(e.Output, "\n# ") + "\n"
	}
	text := e.At + "$ " + e.Command + "\n"
	for _, line := range e.Output {
		text += strings.TrimRight(line, " ") + "\n"
	}
	return text
}

// WriteFiles writes life.json and LIFE.md into a directory.
func (r Report) WriteFiles(dir string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "life.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return r.WritePage(filepath.Join(dir, "LIFE.md"))
}

// WritePage writes docs/LIFE.md, or a page like it.
func (r Report) WritePage(path string) error {
	page, err := r.Page()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// Kept reports whether every step kept its promise.
func (r Report) Kept() bool {
	for _, s := range r.Steps {
		if s.Unusual != "" {
			return false
		}
	}
	return true
}
