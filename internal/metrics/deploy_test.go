package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/hacluster/hacluster/internal/doccheck"
)

const monitoring = "../../deploy/monitoring/"

// alert is one rule of deploy/monitoring.
type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(read(t, monitoring+"hacluster.rules.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryAlertIsInTheRunbook: each alert names a section of its own that exists, says how bad it is, and is seen firing in a test; and the
// runbook has no section for an alert that is gone.
func TestEveryAlertIsInTheRunbook(t *testing.T) {
	sections := regexp.MustCompile(`(?m)^## (\S+)$`).FindAllStringSubmatch(read(t, "../../docs/RUNBOOK.md"), -1)
	scenarios := read(t, monitoring+"hacluster.rules.test.yml")
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		if want := "docs/RUNBOOK.md#" + strings.ToLower(a.Alert); a.Annotations["runbook"] != want {
			t.Errorf("%s: runbook %q, want %q", a.Alert, a.Annotations["runbook"], want)
		}
		if !slices.ContainsFunc(sections, func(s []string) bool { return s[1] == a.Alert }) {
			t.Errorf("%s has no section in docs/RUNBOOK.md", a.Alert)
		}
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", a.Alert, s)
		}
		if a.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", a.Alert)
		}
		if !strings.Contains(scenarios, `alertname="`+a.Alert+`"`) {
			t.Errorf("%s fires in no scenario of hacluster.rules.test.yml", a.Alert)
		}
	}
	for _, s := range sections {
		if !slices.Contains(names, s[1]) {
			t.Errorf("docs/RUNBOOK.md has a section %s, and there is no such alert", s[1])
		}
	}
	for _, link := range regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(read(t, "../../docs/RUNBOOK.md"), -1) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.ToLower(n) == link[1] }) {
			t.Errorf("docs/RUNBOOK.md leads to #%s, which does not exist", link[1])
		}
	}
}

// TestMetricsThatAreAskedForExist: rules, scenarios, dashboard and runbook name no metric, and no label of one, that the agent does not export.
func TestMetricsThatAreAskedForExist(t *testing.T) {
	known := families()
	name := regexp.MustCompile(`\b(hacluster_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	for _, file := range []string{monitoring + "hacluster.rules.yml", monitoring + "hacluster.rules.test.yml", monitoring + "grafana-dashboard.json",
		"../../docs/RUNBOOK.md"} {
		asked := 0
		for _, m := range name.FindAllStringSubmatch(strings.ReplaceAll(read(t, file), `\"`, `"`), -1) {
			asked++
			f, ok := known[strings.TrimSuffix(m[1], "_bucket")]
			if !ok {
				t.Errorf("%s asks for %s, which is not exported", filepath.Base(file), m[1])
				continue
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(append([]string{labelCluster, labelNode}, f.labels...), l[1]) {
					t.Errorf("%s asks for the label %s of %s, which has %v", filepath.Base(file), l[1], m[1], f.labels)
				}
			}
		}
		if asked == 0 {
			t.Errorf("%s asks for nothing", file)
		}
	}
}

// TestMetricsInPagesExist: no page names a metric that the agent does not export.
func TestMetricsInPagesExist(t *testing.T) {
	pages, err := doccheck.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	known := families()
	name, part := regexp.MustCompile(`\bhacluster_[a-z0-9_]+`), regexp.MustCompile(`_(?:bucket|sum|count)$`)
	for _, p := range pages {
		for _, code := range p.Code() {
			for _, metric := range name.FindAllString(code.Text, -1) {
				if _, ok := known[part.ReplaceAllString(metric, "")]; !ok {
					t.Errorf("%s names %s, which is not exported", code.Where(), metric)
				}
			}
		}
	}
}

// TestDashboard: Grafana takes it, as far as that can be seen: panels of their own numbers that do not lie on one another.
func TestDashboard(t *testing.T) {
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, monitoring+"grafana-dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	if len(board.Panels) < 10 {
		t.Fatalf("%d panels", len(board.Panels))
	}
	for i, p := range board.Panels {
		if len(p.Targets) == 0 || p.Title == "" {
			t.Errorf("panel %d shows nothing", p.ID)
		}
		for _, q := range board.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if p.ID == q.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q collide", p.Title, q.Title)
			}
		}
	}
}

// TestDashboardTellsTheTruth: of one cluster, with names for what is shown, and of now where it says "now": asked for a range, Grafana shows the
// last value of everything that was there in it, such as the Master before this one.
func TestDashboardTellsTheTruth(t *testing.T) {
	var board struct {
		Panels []struct {
			Title, Type string
			Targets     []struct {
				Expr, LegendFormat string
				Instant            bool
			}
			FieldConfig struct{ Defaults struct{ Unit string } }
		}
	}
	if err := json.Unmarshal([]byte(read(t, monitoring+"grafana-dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	series := regexp.MustCompile(`\b(?:hacluster|process)_[a-z0-9_]+(\{[^}]*\})?`)
	for _, p := range board.Panels {
		if p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s: no unit", p.Title)
		}
		for _, target := range p.Targets {
			if now := p.Type == "stat"; target.Instant != now {
				t.Errorf("%s (%s): instant %t", p.Title, p.Type, target.Instant)
			}
			if target.LegendFormat == "" && p.Type != "stat" {
				t.Errorf("%s: %s has no name", p.Title, target.Expr)
			}
			for _, m := range series.FindAllStringSubmatch(target.Expr, -1) {
				if !strings.Contains(m[1], `cluster="$cluster"`) {
					t.Errorf("%s: %s is of all clusters", p.Title, m[0])
				}
			}
		}
	}
}

// TestRules: promtool takes the rules, plays every scenario, and takes the example of a configuration and the dashboard's queries.
func TestRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		missing(t, "promtool", "apt-get install prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "hacluster.rules.yml"}, {"test", "rules", "hacluster.rules.test.yml"}, {"check", "config", "prometheus.yml"}} {
		check := exec.Command(promtool, args...)
		check.Dir = monitoring
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	t.Run("the dashboard's queries", func(t *testing.T) { checkQueries(t, promtool) })
}

// checkQueries has promtool read the dashboard's queries as if they were rules.
func checkQueries(t *testing.T, promtool string) {
	query := regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`)
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for _, m := range query.FindAllStringSubmatch(read(t, monitoring+"grafana-dashboard.json"), -1) {
		rules.WriteString("      - {record: a_query, expr: " + strings.ReplaceAll(m[1], "$__rate_interval", "1m") + "}\n")
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", "--lint=none", file).CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}
