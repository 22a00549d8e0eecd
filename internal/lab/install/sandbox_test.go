package install

import (
	"errors"
	"fmt"
	"strings"
)

// checks are the ways to look at HAProxy, each on its own: how it is written, what makes it fail, what mends that, and what status says.
var checks = []struct{ name, health, fail, mend, says string }{
	{"process, by name", `process: {name: haproxy}`, "systemctl stop haproxy", "systemctl start haproxy", "haproxy"},
	{"process, by its pidfile", `process: {name: haproxy, pidfile: /run/haproxy.pid}`, "systemctl stop haproxy", "systemctl start haproxy", "haproxy"},
	{"stats socket", `stats: {socket: /run/haproxy/hacluster.sock}`, "systemctl kill --signal=STOP haproxy", "systemctl kill --signal=CONT haproxy", "stats"},
	{"stats socket of somebody else", `stats: {socket: /run/haproxy/hacluster.sock}`, "chmod 0600 /run/haproxy/hacluster.sock",
		"chmod 0660 /run/haproxy/hacluster.sock", "level user"},
	{"http", `http: {url: "http://127.0.0.1:80/healthz"}`, "systemctl kill --signal=STOP haproxy", "systemctl kill --signal=CONT haproxy", "http"},
	{"tcp", `tcp: {address: "127.0.0.1:80"}`, "systemctl stop haproxy", "systemctl start haproxy", "tcp"},
	{"script", `script: {command: [/usr/local/bin/check-haproxy, --quick]}`, "touch /run/maintenance", "rm /run/maintenance", "script"},
}

// checkScript is what people write: it reads a mark, uses pidof, and makes a temporary file.
const checkScript = `#!/bin/sh
test ! -e /run/maintenance || { echo "maintenance"; exit 1; }
mark=$(mktemp) && rm "$mark"
pidof haproxy >/dev/null
`

// bystander returns a node that does not hold the address.
func (s *site) bystander() *machine {
	s.t.Helper()
	holder := s.settled()
	for _, m := range s.machines {
		if m != holder {
			return m
		}
	}
	return nil
}

// checksWork: under the unit's own sandbox each check sees HAProxy, notices when it fails, and when it is back.
func (s *site) checksWork() {
	m := s.bystander()
	m.write("/usr/local/bin/check-haproxy", checkScript)
	m.run("chmod 0755 /usr/local/bin/check-haproxy; cp /etc/hacluster/hacluster.yaml /root/all-checks.yaml")
	defer m.run("cat /root/all-checks.yaml >/etc/hacluster/hacluster.yaml; systemctl restart hacluster")
	for _, c := range checks {
		m.run(`sed -n '/^health:/q; p' /root/all-checks.yaml >/etc/hacluster/hacluster.yaml`)
		m.run("cat >>/etc/hacluster/hacluster.yaml <<'EOF'\nhealth:\n  " + c.health + "\nEOF")
		m.run("systemctl restart hacluster")
		m.awaitHealth(c.name, true, "")
		m.run(c.fail)
		m.awaitHealth(c.name, false, c.says)
		m.run(c.mend)
		m.awaitHealth(c.name, true, "")
	}
}

func (m *machine) awaitHealth(check string, healthy bool, says string) {
	m.t.Helper()
	m.await(fmt.Sprintf("%s: healthy: %v", check, healthy), func() error {
		now, err := m.status()
		if err == nil && (now.Healthy != healthy || !strings.Contains(now.Health, says)) {
			err = fmt.Errorf("healthy: %v: %s", now.Healthy, now.Health)
		}
		return err
	})
}

// hook tells who it is and what it sees, on its output and by logger.
const hook = `#!/bin/sh
logger -t hook-by-logger "$3"
echo "hook: $3 as $(id -un), haproxy runs: $(pidof haproxy >/dev/null && echo yes), left a mark: $(touch /var/lib/hacluster/mark && echo yes)"
`

// hooksWork: under the unit's own sandbox a hook runs at each change of state.
func (s *site) hooksWork() {
	m := s.bystander()
	m.write("/etc/hacluster/notify.sh", hook)
	m.run("chmod 0755 /etc/hacluster/notify.sh")
	m.run("cat >>/etc/hacluster/hacluster.yaml <<'EOF'\nhooks:\n  notify: [/etc/hacluster/notify.sh]\nEOF")
	m.run("runuser -u hacluster-agent -- hacluster config check --hooks /etc/hacluster/hacluster.yaml; systemctl restart hacluster")
	s.settled()
	m.awaitHook("BACKUP", "haproxy runs: yes")
	s.machines[0].run("hacluster transfer --to " + m.name)
	m.awaitHook("MASTER", "haproxy runs: yes")
	m.run("systemctl stop haproxy")
	m.awaitHook("FAULT", "haproxy runs: ") // or not any more: the hook may be quicker than HAProxy's end
	m.run("systemctl start haproxy")
	s.settled()
}

// awaitHook waits until the hook has run in a state. The next one may begin only then: hooks that are out of date are not run.
func (m *machine) awaitHook(state, sees string) {
	m.t.Helper()
	m.awaitLog("hacluster", fmt.Sprintf("hook: %s as hacluster-agent, %s", state, sees), "left a mark: yes")
	m.awaitLog("", "hook-by-logger", state)
}

// awaitLog waits for a line of the journal, of one unit or of all, that holds all these words.
func (m *machine) awaitLog(unit string, words ...string) {
	m.t.Helper()
	command := "journalctl --no-pager --quiet --output=short"
	if unit != "" {
		command += " --unit=" + unit
	}
	m.await("in the journal: "+strings.Join(words, " "), func() error {
		out, err := m.try(command)
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if containsAll(line, words) {
				return nil
			}
		}
		return errors.New("no such line")
	})
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// saysWhatWasForgotten: files that root made and the agent cannot read. Without its key it starts anew until it can read it; a configuration
// that it cannot use is not tried again before somebody says so.
func (m *machine) saysWhatWasForgotten() {
	for _, forgotten := range []struct {
		file, remedy string
		restart      string // once the file is mended
	}{
		{"/etc/hacluster/hacluster.yaml", "chmod 0640", "systemctl restart hacluster"},
		{"/etc/hacluster/tls/node.key", "chown", ""},
	} {
		file := forgotten.file
		before := m.run("stat --format='%a %U:%G' " + file)
		m.run("chown root:root " + file + "; chmod 0600 " + file + "; systemctl restart hacluster || true")
		m.awaitLog("hacluster", file, forgotten.remedy, "permission denied")
		mode, owner, _ := strings.Cut(before, " ")
		m.run("chown " + owner + " " + file + "; chmod " + mode + " " + file)
		if forgotten.restart != "" {
			if state, _ := m.try("systemctl is-failed hacluster"); state != "failed" {
				m.t.Errorf("the service is %s with %s that it cannot read, want failed for good", state, file)
			}
			m.run(forgotten.restart)
		}
		m.await("its start", func() error {
			_, err := m.try("systemctl is-active hacluster")
			return err
		})
	}
}

// watchdogBites: an agent that stands still is ended and started anew.
func (m *machine) watchdogBites() {
	const restarts = "systemctl show --property=NRestarts --value hacluster"
	before := m.run(restarts)
	m.run("systemctl kill --signal=STOP --kill-who=main hacluster")
	m.await("another agent", func() error {
		out, err := m.try(restarts)
		if err == nil && out == before {
			err = errors.New("not restarted yet")
		}
		return err
	})
	m.awaitLog("", "hacluster.service", "Watchdog timeout")
	m.await("it to take part again", func() error {
		now, err := m.status()
		if err == nil && !now.Ready {
			err = fmt.Errorf("%+v", now)
		}
		return err
	})
}
