package metrics

import (
	"fmt"
	"strings"
	"testing"
)

const introduction = `# Metrics

Written by the code that exports them: ` + "`go test ./internal/metrics -update`" + ` renews this page, and a test compares.

Each agent answers at ` + "`http.listen`" + `, by default ` + "`127.0.0.1:7460`" + `, for reading only:

| path | what |
|---|---|
| ` + "`/metrics`" + ` | what is below, and the Go runtime's and the process's own |
| ` + "`/healthz`" + ` | 200 while the agent is alive: its loop moves. Not whether all is well |
| ` + "`/readyz`" + ` | 200 if the node knows a leader, and its HAProxy is healthy or it is a witness; else 503 and why |
| ` + "`/status`" + ` | what ` + "`hacluster status -o json`" + ` says |

With another address than loopback, allow the port for your monitoring only: nothing can be changed there, but everything can be read.
[deploy/monitoring](../deploy/monitoring/README.md) has Prometheus rules and a Grafana dashboard, [RUNBOOK.md](RUNBOOK.md) what to do about each alert.

Every metric has ` + "`cluster`" + ` and ` + "`node`" + ` as labels too. Times are in seconds. Labels come from fixed words, the configuration or the members of the cluster;
a stranger cannot make one.
`

// TestDocumentation: docs/METRICS.md says of each metric what the code says.
func TestDocumentation(t *testing.T) {
	var page strings.Builder
	page.WriteString(introduction)
	for _, topic := range topics() {
		fmt.Fprintf(&page, "\n## %s\n\n| metric | type | labels | |\n|---|---|---|---|\n", topic.title)
		for _, f := range topic.families {
			labels := ""
			for i, l := range f.labels {
				labels += strings.Repeat(", ", min(i, 1)) + "`" + l + "`"
			}
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, f.help)
		}
	}
	golden(t, "../../docs/METRICS.md", page.String())
}

// TestEveryFamilyIsWhole: one name each, and a sentence.
func TestEveryFamilyIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, topic := range topics() {
		for _, f := range topic.families {
			if seen[f.name] {
				t.Errorf("%s is there twice", f.name)
			}
			seen[f.name] = true
			if !strings.HasSuffix(f.help, ".") {
				t.Errorf("%s: the help is no sentence: %q", f.name, f.help)
			}
			if strings.HasSuffix(f.name, "_total") != (f.kind == counter) {
				t.Errorf("%s is a %s", f.name, f.kind)
			}
		}
	}
}
