package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A real Prometheus with the rules that are shipped scrapes three real agents, and alerts fire for what goes wrong. When alerts fire is
// promtool's to test (deploy/monitoring/hacluster.rules.test.yml); here they wait for two seconds only.

// watched is a cluster of three agents under Prometheus' eyes.
type watched struct {
	t          *testing.T
	members    []*member
	pages      []string       // where the pages of each are
	haproxies  []net.Listener // of the first two, as far as the tcp check can tell
	prometheus string
}

func TestPrometheusWatchesThreeAgents(t *testing.T) {
	needRoot(t)
	needProgram(t, "prometheus")
	w := watch(t)
	w.until("a Master and a second candidate", `hacluster_state{state="Master"} == 1`, `hacluster_candidates == 2 and hacluster_raft_leader == 1`,
		`hacluster_raft_failures_tolerated == 1`, `sum(up) == 3`)
	w.until("quiet", `absent(ALERTS{alertname=~"HaclusterAgentDown|HaclusterQuorumAtRisk|HaclusterHAProxyUnhealthy|HaclusterNoSpare",alertstate="firing"})`)
	t.Run("pages", w.testPages)
	t.Run("what happened was counted", func(t *testing.T) {
		w.t = t
		w.until("the claim, the call and the state", `hacluster_claims_granted_total{mode="takeover"} >= 1`,
			`hacluster_ec2_calls_total{api="AssociateAddress",class="done"} >= 1`, `hacluster_state_entered_total{state="Master"} >= 1`,
			`hacluster_address_held == 1`, `hacluster_raft_apply_duration_seconds_count > 0`, `hacluster_ec2_spare_connection == 1`)
	})
	t.Run("HAProxy dies on the node that does not hold", func(t *testing.T) {
		w.t = t
		standby := w.standby()
		must(t, w.haproxies[standby].Close())
		w.firing("HaclusterHAProxyUnhealthy", fmt.Sprintf(`node="%s"`, w.members[standby].name))
		w.firing("HaclusterNoSpare", "")
		code, body := w.get(w.pages[standby] + "/readyz")
		if code != http.StatusServiceUnavailable || !strings.Contains(body, "HAProxy is not healthy") {
			t.Errorf("/readyz of that node: %d %q", code, body)
		}
	})
	t.Run("an agent is killed", func(t *testing.T) {
		w.t = t
		must(t, w.members[2].cmd.Process.Kill())
		w.firing("HaclusterAgentDown", `instance="`+strings.TrimPrefix(w.pages[2], "http://")+`"`)
		w.firing("HaclusterQuorumAtRisk", "")
	})
}

// watch starts the agents and Prometheus.
func watch(t *testing.T) *watched {
	w := &watched{t: t}
	endpoint, _ := emulator(t)
	port, page := freePort(t), freePort(t)
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		haproxy, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = haproxy.Close() })
		address := fmt.Sprintf("127.0.0.%d:%d", i+1, page)
		w.haproxies, w.pages = append(w.haproxies, haproxy), append(w.pages, "http://"+address)
		w.members = append(w.members, startMember(t, name, i+1, port, endpoint, haproxy.Addr().String(), "http: {listen: \""+address+"\"}"))
	}
	w.startPrometheus()
	return w
}

func (w *watched) startPrometheus() {
	w.t.Helper()
	dir := w.t.TempDir()
	rules, err := os.ReadFile("../../deploy/monitoring/hacluster.rules.yml")
	must(w.t, err)
	hasty := regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAll(rules, []byte("$1 2s"))
	must(w.t, os.WriteFile(filepath.Join(dir, "hacluster.rules.yml"), hasty, 0o600))
	var targets []string
	for _, p := range w.pages {
		targets = append(targets, "'"+strings.TrimPrefix(p, "http://")+"'")
	}
	config := filepath.Join(dir, "prometheus.yml")
	must(w.t, os.WriteFile(config, []byte(fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [hacluster.rules.yml]
scrape_configs:
  - job_name: hacluster
    static_configs: [{targets: [%s]}]
`, strings.Join(targets, ", "))), 0o600))
	address := fmt.Sprintf("127.0.0.1:%d", freePort(w.t))
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var log bytes.Buffer
	cmd.Stderr = &log
	must(w.t, cmd.Start())
	w.prometheus = "http://" + address
	t := w.t
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", log.String())
		}
	})
}

// testPages: each agent answers for itself, also the witness, which runs as nobody.
func (w *watched) testPages(t *testing.T) {
	for i, page := range w.pages {
		waitFor(t, w.members[i].name+" to know that all is well", func() bool { // Prometheus was told by another, or earlier
			_, body := w.get(page + "/status")
			return strings.Contains(body, `"safe_to_lose_a_node":true`)
		})
		for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n", "/metrics": "hacluster_build_info{",
			"/": "Safe to lose a node now?", "/assets/page.css": "prefers-color-scheme", "/status": `"safe_to_lose_a_node":true`} {
			if code, body := w.get(page + path); code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %s: %d %.200q", w.members[i].name, path, code, body)
			}
		}
		_, body := w.get(page + "/status")
		var status struct{ Node, Leader string }
		if err := json.Unmarshal([]byte(body), &status); err != nil || status.Node != w.members[i].name || status.Leader == "" {
			t.Errorf("%s: /status: %v: %+v", w.members[i].name, err, status)
		}
	}
}

// standby is the number of the candidate that does not hold.
func (w *watched) standby() int {
	w.t.Helper()
	s, err := w.members[2].status()
	must(w.t, err)
	return slices.IndexFunc(w.members, func(m *member) bool { return m.name != s.Holder })
}

// until waits until each query has an answer.
func (w *watched) until(what string, queries ...string) {
	w.t.Helper()
	for _, q := range queries {
		waitFor(w.t, what+" ("+q+")", func() bool {
			answers, err := w.query(q)
			return err == nil && answers > 0
		})
	}
}

// firing waits for an alert, and checks that it leads to the runbook.
func (w *watched) firing(alert, label string) {
	w.t.Helper()
	w.until(alert, fmt.Sprintf(`ALERTS{alertname="%s",alertstate="firing",%s}`, alert, label))
	_, body := w.get(w.prometheus + "/api/v1/alerts")
	if !strings.Contains(body, "docs/RUNBOOK.md#"+strings.ToLower(alert)) {
		w.t.Errorf("%s does not lead to the runbook: %s", alert, body)
	}
}

// query returns the number of series that Prometheus answers with.
func (w *watched) query(q string) (int, error) {
	code, body := w.get(w.prometheus + "/api/v1/query?query=" + url.QueryEscape(q))
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if code != http.StatusOK {
		return 0, errors.New(body)
	}
	err := json.Unmarshal([]byte(body), &answer)
	return len(answer.Data.Result), err
}

// get returns 0 and the error where nobody answers.
func (w *watched) get(url string) (code int, body string) {
	answer, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// needProgram skips a test that needs one that is not installed. A skip must not hide that in CI.
func needProgram(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("NOT TESTED: %s is not installed, and CI must have it: apt-get install %s", program, program)
	}
	t.Skipf("NOT TESTED: %s is not installed: apt-get install %s", program, program)
}
