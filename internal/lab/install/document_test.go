package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const page = "../../../docs/INSTALL.md"

// step is what a fence of the page says: a shell script, and where it is for.
type step struct{ heading, where, script string }

// steps returns the fences of the page in order.
func steps(t *testing.T) []step {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	var found []step
	var heading string
	var open *step
	for line := range strings.Lines(string(text)) {
		where, begins := strings.CutPrefix(strings.TrimSpace(line), "```sh ")
		switch {
		case begins && open == nil:
			open = &step{heading: heading, where: where}
		case strings.HasPrefix(line, "```") && open != nil:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.script += line
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	if len(found) < 6 {
		t.Fatalf("%s: %d fences of 'sh WHERE'", page, len(found))
	}
	return found
}

// follow does what a step says, where it says.
func (s *site) follow(st step) {
	s.t.Helper()
	// Nobody waits for the cluster between two steps, and until it is formed the exit status says that something needs attention.
	st.script = strings.ReplaceAll(st.script, "hacluster status\n", "hacluster status || [ $? = 1 ]\n")
	switch st.where {
	case "node":
		for _, m := range s.machines {
			m.run(st.script)
		}
	case "workstation":
		s.workstation(st.script)
	default:
		for _, m := range s.machines {
			if m.name == st.where {
				m.run(st.script)
				return
			}
		}
		s.t.Fatalf("%s: step %q is for %q, which is nobody", page, st.heading, st.where)
	}
}

// workstation runs a script on the operator's own machine: it has the program and, in place of ssh and scp, something that reaches the
// machines as they would.
func (s *site) workstation(script string) {
	s.t.Helper()
	home := s.t.TempDir()
	bin := filepath.Join(home, "bin")
	must(s.t, os.Mkdir(bin, 0o700))
	var pids strings.Builder
	for _, m := range s.machines {
		fmt.Fprintf(&pids, "%s) pid=%d ;;\n", m.name, m.host.Pid())
	}
	find := fmt.Sprintf("case ${to%%%%:*} in\n%sesac\n", pids.String())
	ssh := "#!/bin/sh -e\nto=${1#root@}; shift\n" + find +
		`exec nsenter --target $pid --all --root --wdns=/root -- /bin/sh -c "$*"` + "\n"
	scp := "#!/bin/sh -e\nfor to; do :; done\nto=${to#root@}\n" + find +
		`n=$#; i=0; for f; do i=$((i + 1)); [ $i -lt $n ] || break; cp "$f" /proc/$pid/root${to#*:}; done` + "\n"
	for name, text := range map[string]string{"ssh": ssh, "scp": scp} {
		must(s.t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700))
	}
	unpacked := filepath.Join(home, "package")
	if out, err := exec.Command("dpkg-deb", "--extract", s.pkg, unpacked).CombinedOutput(); err != nil {
		s.t.Fatalf("unpack: %v: %s", err, out)
	}
	cmd := exec.CommandContext(s.t.Context(), "/bin/sh", "-ec", script)
	cmd.Dir, cmd.Env = home, []string{"PATH=" + bin + ":" + unpacked + "/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + home}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("on the workstation: %s: %v\n%s", script, err, out)
	}
}
