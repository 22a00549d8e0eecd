package life

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/show"
)

var update = flag.Bool("update", false, "rewrite testdata/life.md with what is written now")

// A made-up life of two steps: one that clients did not notice, and one in which the move cut a request.
func TestPage(t *testing.T) {
	report := Report{
		About: show.Report{
			Machine:  show.Machine{CPU: "a CPU", CPUs: 2, MemoryMB: 4096, Kernel: "6.1"},
			Versions: map[string]string{"hacluster": "hacluster v1.1.0", "hacluster, older": "hacluster v1.0.0"},
			Command:  "bin/hacluster-lab life", Date: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC),
		},
		Steps: []Result{
			{Name: "bootstrap with TLS", Story: "Three machines.", Took: 2 * time.Second, Clients: lab.Clients{Requests: 400}, Screen: []Entry{
				{At: "desk", Command: "hacluster tls ca create --out ca", Output: []string{"  valid ", "  signed"}},
				{At: "node-a", Command: "systemctl start hacluster"},
			}},
			{Name: "drain", Story: "A drain.", Took: 1600 * time.Millisecond, Moves: 1, Associate: 1,
				Clients: lab.Clients{Requests: 300, Failed: 1, CutInFlight: 1, Silence: 9.87},
				Screen:  []Entry{{Output: []string{"node-a is switched off"}}}},
		},
	}
	got, err := report.Page()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/life.md"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("look at it, then run with -update; -want +got:\n%s", diff)
	}
}

// docs/LIFE.md tells the steps that there are: whoever changes one runs make life.
func TestPageIsOfThisLife(t *testing.T) {
	page, err := os.ReadFile("../../../docs/LIFE.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps() {
		heading := "\n## " + chapter(i, Result{Name: s.Name}) + "\n\n" + s.Story + "\n"
		if !strings.Contains(string(page), heading) {
			t.Errorf("docs/LIFE.md does not tell step %d as it is now: run make life\n%s", i+1, heading)
		}
	}
	if chapters := strings.Count(string(page), "\n## "); chapters != len(steps()) {
		t.Errorf("docs/LIFE.md has %d chapters, and there are %d steps", chapters, len(steps()))
	}
}

func TestExcerpts(t *testing.T) {
	answer := []string{"node-a holds.", "! a thing", "", "version 1", "What will happen:", "done"}
	for name, tt := range map[string]struct {
		keep excerpt
		want []string
	}{
		"everything":   {everything, answer},
		"nothing":      {nothing, nil},
		"the verdict":  {verdict, answer[:2]},
		"some lines":   {linesWith("version", "thing"), []string{"! a thing", "version 1"}},
		"from a line":  {fromLine("What will"), answer[4:]},
		"a short one":  {func([]string) []string { return verdict(answer[:1]) }, answer[:1]},
		"no such line": {fromLine("nowhere"), answer},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.keep(answer)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
