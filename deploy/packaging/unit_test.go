package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const unit = "../systemd/hacluster.service"

// need finds a program, or says that what it would have tested is not tested.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s: apt-get install %s", program, pkg)
	}
	t.Skipf("NOT TESTED: no %s: apt-get install %s", program, pkg)
}

// TestUnitIsClosed holds the figure that systemd itself gives for how much the service could do, from 0 (nothing) to 10, at most 2.0.
func TestUnitIsClosed(t *testing.T) {
	need(t, "systemd-analyze", "systemd")
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no figure in\n%s", out)
	}
	exposure, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exposure %v", exposure)
	if exposure > 2.0 {
		t.Errorf("exposure %v, want at most 2.0\n%s", exposure, out)
	}
}

// TestUnitIsRead: systemd has no complaint about it. The program is not on this machine.
func TestUnitIsRead(t *testing.T) {
	need(t, "systemd-analyze", "systemd")
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("/usr/bin/hacluster", "/bin/true", "man:hacluster(1)", "man:true(1)").Replace(string(text))
	file := filepath.Join(t.TempDir(), filepath.Base(unit))
	if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestScriptsAreClean(t *testing.T) {
	need(t, "shellcheck", "shellcheck")
	scripts, err := filepath.Glob("*.sh")
	if err != nil || len(scripts) < 5 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	if out, err := exec.Command("shellcheck", scripts...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}
