package show

import (
	"fmt"
	"html/template"
	"time"

	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

// WriteChaosPage writes a page about a chaos run, complete in one file as the one of WritePage.
func WriteChaosPage(path string, e judge.Evidence, v judge.Verdict) error {
	return writePage(path, chaosTemplate, template.FuncMap{"since": sinceBeginning}, newChaosPage(e, v))
}

type chaosPage struct {
	Run     judge.Run
	Verdict judge.Verdict
	Style   template.CSS
	Broken  string
	Figures [][2]string
	Faults  []pageFault
	Minutes []timeline
}

type pageFault struct {
	At         time.Duration
	Kind, Text string
}

func newChaosPage(e judge.Evidence, v judge.Verdict) chaosPage {
	p := chaosPage{Run: e.Run, Verdict: v, Style: pageStyle, Broken: invariants(v), Figures: figureLines(v)}
	for _, f := range e.Faults {
		p.Faults = append(p.Faults, pageFault{f.Asked - e.Run.Began.Boot, f.Kind, f.Text})
	}
	for from := e.Run.Began.Boot; from < e.Run.Ended.Boot; from += time.Minute {
		p.Minutes = append(p.Minutes, strip{e, v, judge.Span{From: from, To: from + time.Minute}}.timeline())
	}
	return p
}

// sinceBeginning writes minutes and seconds.
func sinceBeginning(d time.Duration) string {
	return fmt.Sprintf("%d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
}

const chaosTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>hacluster chaos, seed {{.Run.Seed}}</title>
<style>{{.Style}}
td, td:last-child { white-space: normal; text-align: left; } th { width: 17em; }</style>
</head>
<body>
<main>
<header>
<h1>{{len .Faults}} faults in {{since .Verdict.Figures.Duration}}</h1>
<p class="lead">{{len .Run.Nodes}} real nodes are broken in a seeded order, two things at a time. What EC2 received, what was on the wire
and what clients got is held against the invariants. Again: <code>{{.Run.Command}}</code></p>
<p class="verdict {{if .Broken}}bad{{else}}good{{end}}">{{if .Broken}}{{len .Verdict.Violations}} violations of {{.Broken}}{{else}}No violation{{end}}</p>
</header>
{{if .Verdict.Violations}}
<section>
<h2>Violations</h2>
<table><tbody>
{{- range .Verdict.Violations}}
<tr><td>{{since .At}}</td><td>{{.Invariant}}</td><td>{{.Node}}</td><td>{{.Text}}</td></tr>
{{- end}}
</tbody></table>
</section>
{{end}}
<section>
<h2>Figures</h2>
<table><tbody>
{{- range .Figures}}
<tr><th>{{index . 0}}</th><td>{{index . 1}}</td></tr>
{{- end}}
{{- range .Verdict.Residuals}}
<tr><th>residual of docs/SAFETY.md</th><td>{{.}}</td></tr>
{{- end}}
{{- range .Verdict.Doubts}}
<tr><th>not judged</th><td>{{.}}</td></tr>
{{- end}}
</tbody></table>
</section>
<section>
<h2>Minute by minute</h2>
<p>Below each node, in red, what was broken there. Circles are mutating EC2 calls, in the colour of the caller, grey for people.</p>
{{range .Minutes}}{{template "timeline" .}}{{end}}
</section>
<section>
<h2>What was done</h2>
<ol class="events">
{{- range .Faults}}
<li><time>{{since .At}}</time><span>✗</span><span><b>{{.Kind}}</b> {{.Text}}</span></li>
{{- end}}
</ol>
</section>
</main>
</body>
</html>
`
