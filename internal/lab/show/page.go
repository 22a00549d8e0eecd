package show

import (
	"fmt"
	"html/template"
	"os"

	"github.com/hacluster/hacluster/internal/lab"
)

// WritePage writes a page about the scenes, complete in one file: no scripts, no fonts, nothing to load.
func WritePage(path string, report *Report, scenes []Scene) error {
	return writePage(path, pageTemplate, template.FuncMap{"count": count}, newPage(report, scenes))
}

// writePage fills a template, to which timelines belong, and writes it.
func writePage(path, text string, functions template.FuncMap, data any) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"add": func(a, b int) int { return a + b },
	}).Funcs(functions).Parse(text + timelineTemplate)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	defer file.Close()
	if err := page.Execute(file, data); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return file.Close()
}

type page struct {
	Report *Report
	Style  template.CSS
	Nodes  []string
	Scenes []pageScene
	Made   int // promises
	Broken int
}

type pageScene struct {
	Scene
	ID        string
	Noticed   string
	Headline  string
	Timelines []timeline
	Events    []pageEvent
}

type pageEvent struct {
	At, Symbol, Text string
}

func newPage(report *Report, scenes []Scene) page {
	p := page{Report: report, Style: pageStyle, Nodes: lab.NodeNames()}
	for _, s := range scenes {
		for _, promise := range s.Promises {
			p.Made++
			if !promise.Kept {
				p.Broken++
			}
		}
		ps := pageScene{Scene: s, ID: s.Fault.Name, Noticed: noticed(s.Repetition), Timelines: s.timelines()}
		ps.Headline = "0 ms"
		if gap := s.Repetition.LongestGap; gap > 0 {
			ps.Headline = duration(gap)
		}
		ps.Events = s.events()
		p.Scenes = append(p.Scenes, ps)
	}
	return p
}

// events lists the fault, its end and everything that happened, in order.
func (s Scene) events() []pageEvent {
	e := s.Evidence
	d := drawing{scene: s}
	told := e.Released.IsZero()
	events := []pageEvent{{"0 ms", symbol(lab.KindFault), e.Victim + " " + s.Fault.Story}}
	release := pageEvent{d.offset(e.Released), "✓", e.Victim + " " + s.Fault.Release}
	for _, ev := range e.Events() {
		if !told && ev.Time.After(e.Released) {
			events, told = append(events, release), true
		}
		events = append(events, pageEvent{d.offset(ev.Time), symbol(ev.Kind), ev.Text})
	}
	if !told {
		events = append(events, release)
	}
	return events
}

const timelineTemplate = `{{define "timeline"}}
<figure>
<svg width="100%" height="{{.Height}}" role="img" aria-label="{{.Caption}}">
{{- $bottom := add .Height -26}}
{{- range .Ticks}}
<line class="grid" x1="{{.X}}%" x2="{{.X}}%" y1="0" y2="{{$bottom}}"/>
{{- if and (ge .X 3.0) (le .X 96.0)}}<text class="tick" x="{{.X}}%" y="{{add $bottom 17}}">{{.Text}}</text>{{end}}
{{- end}}
{{- range .Lines}}
<line class="{{.Class}}" x1="{{.X}}%" x2="{{.X}}%" y1="0" y2="{{$bottom}}"/>
{{- end}}
{{- range .Lanes}}{{$y := .Y}}
<text class="label" x="0" y="{{$y}}">{{.Label}}</text>
{{- range .Bars}}
<svg x="{{.X}}%" y="{{add $y 5}}" width="{{.W}}%" height="20" class="{{.Class}}"><title>{{.Title}}</title><rect width="100%" height="100%" rx="3"/><text x="6" y="14">{{.Text}}</text></svg>
{{- end}}
{{- range .Pulse}}
<line class="pulse {{.Class}}" x1="{{.X}}%" x2="{{.X}}%" y1="{{add $y 26}}" y2="{{add $y 31}}"><title>{{.Title}}</title></line>
{{- end}}
{{- range .Marks}}
<circle class="call {{.Class}}" cx="{{.X}}%" cy="{{add $y 14}}" r="6"><title>{{.Title}}</title></circle>
{{- end}}
{{- end}}
</svg>
<figcaption>{{.Caption}}</figcaption>
</figure>
{{end}}`

const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>hacluster demo</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<header>
<h1>What clients notice when a node breaks</h1>
<p class="lead">Three nodes with a real HAProxy each share one Elastic IP. hacluster decides which of them holds it.
A client opens a new connection through that address every 5 ms while things break.</p>
<p class="verdict {{if .Broken}}bad{{else}}good{{end}}">{{if .Broken}}{{.Broken}} of {{.Made}} promises broken{{else}}All {{.Made}} promises kept{{end}}</p>
</header>

<nav class="cards">
{{- range .Scenes}}
<a class="card {{if not .Kept}}bad{{end}}" href="#{{.ID}}">
<span class="name">{{.Fault.Title}}</span>
<span class="big">{{.Headline}}</span>
<span class="small">without service · {{count .Repetition.Moves "move"}} · {{count .Repetition.Mutating "EC2 call"}}</span>
</a>
{{- end}}
</nav>

<p class="legend">
{{- range .Nodes}}<span><i class="swatch {{.}}"></i>{{.}}</span>{{end}}
<span><i class="swatch served"></i>served</span><span><i class="swatch unserved"></i>not served</span>
<span><i class="swatch tickmark"></i>VRRP adverts on the wire</span><span><i class="swatch round"></i>EC2 call</span>
<span><i class="swatch faultline"></i>fault</span><span><i class="swatch releaseline"></i>fault undone</span>
</p>
{{range .Scenes}}
<section id="{{.ID}}">
<h2>{{.Fault.Title}}</h2>
<p><b>{{.Evidence.Victim}}</b> {{.Fault.Story}}. Clients: {{.Noticed}}.</p>
{{range .Timelines}}{{template "timeline" .}}{{end}}
<table>
<thead><tr><th>promise</th><th>measured</th><th></th></tr></thead>
<tbody>
{{- range .Promises}}
<tr><td>{{.Text}}</td><td>{{.Measured}}</td><td class="{{if .Kept}}good{{else}}bad{{end}}">{{if .Kept}}✓ kept{{else}}✗ broken{{end}}</td></tr>
{{- end}}
</tbody>
</table>
<details><summary>What happened, step by step</summary>
<ol class="events">
{{- range .Events}}
<li><time>{{.At}}</time><span>{{.Symbol}}</span><span>{{.Text}}</span></li>
{{- end}}
</ol>
</details>
</section>
{{end}}
<footer>
<p>{{.Report.Date.Format "2 January 2006, 15:04 MST"}} · {{.Report.Machine.CPU}}, {{.Report.Machine.CPUs}} CPUs, {{.Report.Machine.MemoryMB}} MB · Linux {{.Report.Machine.Kernel}}</p>
<p>{{range $name, $version := .Report.Versions}}{{$name}}: {{$version}}<br>{{end}}</p>
<p>EC2 is an emulator that answers at once: on AWS its response time comes on top. The network, HAProxy, Raft and the packets are real.</p>
</footer>
</main>
</body>
</html>
`
