package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// marker is in the page, so that a later run knows how much was measured for it.
const marker = "<!-- bench: %d repetitions -->"

// ErrFuller means that the page which would be replaced was made from more repetitions.
var ErrFuller = errors.New("the page there was made from a fuller run")

// pageText is docs/BENCHMARKS.md.
const pageText = `# Benchmarks: hacluster and keepalived in the same lab

{{.Marker}}
Made by ` + "`{{.Command}}`" + ` (seed {{.Seed}}) on {{.Date}}: {{.Count}} repetitions{{if gt .Sittings 1}} in {{.Sittings}} sittings{{end}}. Do not edit: ` + "`make bench`" + ` writes this page.

| | |
|---|---|
| machine | {{.Machine.CPUs}} cores, {{.Machine.CPU}}, {{.Machine.MemoryMB}} MB; kernel {{.Machine.Kernel}} |
{{- range .Versions}}
| {{index . 0}} | {{index . 1}} |
{{- end}}
| EC2 | the emulator, {{if .TLS}}over TLS 1.3{{else}}without TLS{{end}}; latency is added to every call before its effect |
| load average | {{.Average}} during the repetitions; cores busy {{.Busy}} |
| CPU time stolen by the hypervisor | {{.Stolen}} of all cores' time in a repetition |

All systems run on the same three nodes, behind the same gateway, under the same faults, in one run: they take turns at every fault and every
repetition. Before each repetition all nodes are switched off and on, and node-a is brought in charge; the fault hits node-a. A client asks for a page
over a new connection every {{.Every}}; **gap** is the longest time between two answers (or the fault and an answer) in which a request began that failed. Times are in milliseconds from the
fault: median (min-max).

## Goals

Of the fast profile, unless it says otherwise. Ratios are of medians.

| fault | EC2 latency | system | what | goal | measured | |
|---|---|---|---|---|---|---|
{{- range .Verdicts}}
| {{.Fault}} | {{.Latency}} | {{.System}} | {{.What}} | {{.Goal}} | {{.Measured}} | {{if .Kept}}kept{{else}}**missed**{{end}} |
{{- else}}
| - | | | nothing that this run measured | | | |
{{- end}}

## Fault by fault
{{range .Cells}}
### {{.Title}}
{{with .Picture}}
{{.}}
{{end}}
| system | n | gap | failed requests | first EC2 call | address moved | moves | EC2 calls | two masters | wrong node |{{if .Woken}} calls after waking |{{end}} gap / tuned |
|---|---|---|---|---|---|---|---|---|---|---|{{if .Woken}}---|{{end}}
{{- range .Lines}}
| {{range $i, $text := .}}{{if $i}} | {{end}}{{$text}}{{end}} |
{{- end}}
{{end}}
*Gap*: one that lasts at the end of the watch, ten seconds after the fault, counts until then. *Failed requests*: of all repetitions together;
*cut*: they were being served when the address moved. *Two masters*: moments in which more than one node advertised. *Wrong node*: repetitions at whose end not exactly one node advertised, or
the address was with another. An idle row has one repetition of some minutes, with a busy thread for every core.

## Listed apart

Repetitions during which more than 5 % of the CPU time was stolen; they do not count above. And what did not become steady before the fault, or
had not settled ten seconds after it: the latter counts.
{{range .Apart}}
- {{.}}
{{- else}}
- none
{{- end}}

{{.Notes}}`

// notes say what a reader must know to trust the figures, or not to.
const notes = `## The systems

- **hacluster**: the default profile. **hacluster-fast**: ` + "`profile: fast`" + `, both with ` + "`eip.fencing: balanced`" + `.
  **hacluster-fast-fencing**: the fast profile with ` + "`eip.fencing: fast`" + `.
- **keepalived-tuned**: VRRPv3, adverts every 10 ms (30 and 100 ms in their own rows), the end of HAProxy as an event, a vrrp_script that asks
  HAProxy for a page every second with a deadline of 250 ms and two failures, and as notify_master and notify_master_rx_lower_pri a static
  binary with keys in its environment that makes one AssociateAddress. **-watch**: a watcher that asks every 50 ms, with a deadline of 150 ms and two failures, takes the script's place.
  **-rt**: SCHED_RR, which keepalived offers for machines that are busy.
- **keepalived-classic**: VRRPv2, adverts every second, ` + "`pidof haproxy`" + ` every two seconds, a script with two aws commands.

Their configurations are ` + "`internal/lab/bench/testdata`" + `. keepalived is told to hand over by stopping it: it knows no other way.

## What is not as on a real machine

- **Process events.** The kernel tells of processes only in the machine's first namespaces, which the lab's nodes are not. A watcher on pidfds
  and a tracked file take the place of vrrp_track_process. Measured on the development machine, outside the lab, from SIGKILL to keepalived's FAULT,
  60 times each: process events 2.1 ms (0.7-6.8); watcher and file, in namespaces like the lab's, 1.7 ms (1.1-5.2).
- **EC2.** The latency is in EC2, not on the way there: a TLS handshake costs CPU time but no round trip, which favours those who
  connect anew for every call (keepalived's scripts).
- **The machine** has few cores for three nodes, five web servers, a client and EC2. Who needs less CPU time gets ahead; and a node that
  does not run for a while is a fault that nobody injected.
- **The probe** sees {{.Every}} at best: gaps of one or two requests are the same. Where a takeover takes the address from its holder first, *address with nobody* is
  EC2's own view of how long that lasted; the client gap adds the time from the last answer before to the first answer after.
- **A request in flight** at the moment of a move is cut, on AWS as here, whoever moves the address: it shows as a gap of about one request.
  It is why *client gap, ms* ≤ 0 is missed by chance, by keepalived as well; the row below each such goal leaves those requests out.
`

// Page makes docs/BENCHMARKS.md; pictures are in the directory images, relative to it.
func (r *Results) Page(images string) (string, error) {
	tmpl, err := template.New("page").Parse(strings.Replace(pageText, "{{.Notes}}", notes, 1))
	if err != nil {
		return "", fmt.Errorf("make page: %w", err)
	}
	data := r.pageData(images)
	var out strings.Builder
	if err := tmpl.Execute(&out, data); err != nil {
		return "", fmt.Errorf("make page: %w", err)
	}
	return out.String(), nil
}

// WritePage writes the page to a file and its pictures to img beside it. Unless force is set, a page that was made from
// more repetitions stays as it is: ErrFuller.
func (r *Results) WritePage(path string, force bool) error {
	if old, err := os.ReadFile(path); err == nil && !force {
		if n := repetitionsOf(string(old)); n > r.Measured() {
			return fmt.Errorf("write %s from %d repetitions instead of %d: %w", path, r.Measured(), n, ErrFuller)
		}
	}
	page, err := r.Page("img")
	if err != nil {
		return err
	}
	images := filepath.Join(filepath.Dir(path), "img")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	for _, c := range r.cells() {
		if c.fault == Idle {
			continue // one repetition each: nothing to spread
		}
		var svg strings.Builder
		if err := r.draw(&svg, c); err != nil {
			return fmt.Errorf("draw %s: %w", c.title(), err)
		}
		if err := os.WriteFile(filepath.Join(images, c.file()), []byte(svg.String()), 0o644); err != nil {
			return fmt.Errorf("write picture: %w", err)
		}
	}
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// repetitionsOf returns from how many repetitions a page was made; 0: it does not say.
func repetitionsOf(page string) int {
	before, _, _ := strings.Cut(marker, "%")
	_, rest, found := strings.Cut(page, before)
	var n int
	if found {
		_, _ = fmt.Sscan(rest, &n) // 0 if it is no number
	}
	return n
}

// pageGoal is a line of the table of goals.
type pageGoal struct {
	Fault, Latency, System, What, Goal, Measured string
	Kept                                         bool
}

// pageCell is the section of one fault at one latency.
type pageCell struct {
	Title, Picture string
	Woken          bool
	Lines          [][]string
}

func (r *Results) pageData(images string) map[string]any {
	average, busy, stolen := r.loads()
	data := map[string]any{
		"Marker": fmt.Sprintf(marker, r.Measured()), "Command": r.Command, "Seed": r.Seed, "Date": r.Date.Format("2 January 2006, 15:04 MST"),
		"Count": r.Measured(), "Sittings": len(r.Sittings), "Machine": r.Machine, "TLS": r.TLS, "Average": average, "Busy": busy, "Stolen": stolen, "Every": probe.Every,
		"Apart": r.apart(),
	}
	var versions [][2]string
	for _, name := range []string{"hacluster", "keepalived", "haproxy", "aws", "go"} {
		versions = append(versions, [2]string{name, r.Versions[name]})
	}
	var goals []pageGoal
	for _, v := range r.judge() {
		goals = append(goals, pageGoal{v.fault, show.Number(v.latency), v.system, v.what, v.goalText(), v.measured, v.kept})
	}
	var cells []pageCell
	for _, c := range r.cells() {
		p := pageCell{Title: c.title(), Woken: c.fault == "agent-freeze"}
		if c.fault != Idle {
			p.Picture = fmt.Sprintf("![%s](%s/%s)", c.title(), images, c.file())
		}
		for _, name := range r.systemsOf(c) {
			p.Lines = append(p.Lines, r.line(c, name))
		}
		cells = append(cells, p)
	}
	data["Versions"], data["Verdicts"], data["Cells"] = versions, goals, cells
	return data
}

// line is the line of a system in the table of a cell.
func (r *Results) line(c cell, name string) []string {
	reps := r.of(c, name)
	line := []string{name, fmt.Sprint(len(reps))}
	for i, m := range []metric{gap, firstCall, moved, moves, calls, tornWire} {
		if i == 1 {
			line = append(line, failedRequests(reps))
		}
		text := "-"
		if s, ok := spread(reps, m); ok {
			text = s.String()
			if s.N < len(reps) {
				text += fmt.Sprintf(", %d of %d", s.N, len(reps))
			}
		}
		line = append(line, text)
	}
	n := 0
	for _, rep := range reps {
		if !rep.Right {
			n++
		}
	}
	line = append(line, fmt.Sprint(n))
	if c.fault == "agent-freeze" {
		s, _ := spread(reps, afterWake)
		line = append(line, s.String())
	}
	return append(line, r.ratio(c, name))
}

// failedRequests sums up; those that were cut in flight are told apart where HAProxy went on.
func failedRequests(reps []Repetition) string {
	failed, cut := 0, 0
	for _, rep := range reps {
		failed += rep.Failed
		cut += rep.CutInFlight
	}
	survives := len(reps) > 0 && !slices.Contains([]string{"haproxy-kill", "haproxy-hang", "node-death"}, reps[0].Fault)
	if survives && cut > 0 {
		return fmt.Sprintf("%d (%d cut)", failed, cut)
	}
	return fmt.Sprint(failed)
}

// ratio compares with the tuned keepalived.
func (r *Results) ratio(c cell, name string) string {
	own, ok := spread(r.of(c, name), gap)
	other, ok2 := spread(r.of(c, Tuned), gap)
	switch {
	case c.fault == Idle || !ok || !ok2 || name == Tuned || own.Median == 0 && other.Median == 0:
		return "-"
	case other.Median == 0:
		return "∞"
	default:
		return fmt.Sprintf("%.2f", own.Median/other.Median)
	}
}

// apart lists the repetitions that need a word.
func (r *Results) apart() []string {
	var list []string
	for _, rep := range r.Repetitions {
		who := fmt.Sprintf("%s, %s, EC2 latency %s ms, repetition %d: ", rep.Fault, rep.System, show.Number(rep.Latency), rep.Number)
		if rep.NotSteady != "" {
			list = append(list, who+"not steady before the fault: "+rep.NotSteady)
		} else if rep.stolen() {
			list = append(list, who+fmt.Sprintf("%.0f %% stolen; gap %s ms, %d moves", 100*rep.Stolen, show.Number(rep.Silence), rep.Moves))
		}
		if rep.Problem != "" {
			list = append(list, who+"not settled: "+rep.Problem)
		}
	}
	return list
}

// loads summarises what the machine was doing, for people.
func (r *Results) loads() (average, busy, stolen string) {
	reps := r.Repetitions
	a, ok := spread(reps, func(rep Repetition) *float64 { return &rep.Average })
	if !ok {
		return "-", "-", "-"
	}
	percent := func(share func(Load) float64) string {
		s, _ := spread(reps, func(rep Repetition) *float64 { v := 100 * share(rep.Load); return &v })
		return fmt.Sprintf("%.1f %% (%.1f-%.1f)", s.Median, s.Min, s.Max)
	}
	return a.String(), percent(func(l Load) float64 { return l.Busy }), percent(func(l Load) float64 { return l.Stolen })
}
