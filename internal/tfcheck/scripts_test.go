package tfcheck

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const labTest = modules + "/examples/lab/test"

func TestScriptsAreClean(t *testing.T) {
	files, err := filepath.Glob(modules + "/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	lab, err := filepath.Glob(labTest + "/*.sh")
	if err != nil || len(lab) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	command(t, "shellcheck", append([]string{"--severity=warning"}, append(files, lab...)...)...)
}

// TestBootstrap runs the bootstrap scripts of three kinds of nodes, with stand-ins for everything that would change a machine, and
// compares what they do, line by line, with testdata/bootstrap-*.txt ('go test -args -update' rewrites them).
func TestBootstrap(t *testing.T) {
	for name, node := range map[string]struct {
		values Values
		node   string
	}{
		"binary": {threeNodes(), "lb-1"}, "package": {fromPackage(), "lb-1"},
		"candidate-with-everything": {withWitness(), "lb-1"}, "witness-with-everything": {withWitness(), "witness"}, "by-tag": {byTag(), Found},
	} {
		t.Run(name, func(t *testing.T) {
			did := runBootstrap(t, render(t, node.values).Bootstraps[node.node])
			file := filepath.Join("testdata", "bootstrap-"+name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(did), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), did); diff != "" {
				t.Errorf("-%s +this run:\n%s", file, diff)
			}
		})
	}
}

// TestBootstrapTriesAgain: right after boot the role's credentials may not be there yet.
func TestBootstrapTriesAgain(t *testing.T) {
	script := render(t, threeNodes()).Bootstraps["lb-1"]
	did := runBootstrap(t, script, `aws) n=$(cat "$WORK/n" 2>/dev/null || echo 0); echo $((n + 1)) >"$WORK/n"; [ "$n" -ge 2 ] ;;`)
	if n := strings.Count(did, "aws s3 cp"); n != 3 {
		t.Errorf("%d attempts, want 3:\n%s", n, did)
	}
	if !strings.Contains(did, "systemctl restart hacluster") {
		t.Errorf("it did not go on:\n%s", did)
	}
}

// TestBootstrapStopsAtAWrongChecksum: nothing is installed that is not what Terraform sent.
func TestBootstrapStopsAtAWrongChecksum(t *testing.T) {
	script := render(t, threeNodes()).Bootstraps["lb-1"]
	did := runBootstrap(t, script, `sha256sum) exit 1 ;;`)
	if strings.Contains(did, "install ") || strings.Contains(did, "systemctl") {
		t.Errorf("it went on:\n%s", did)
	}
}

// runBootstrap runs a bootstrap script and returns the commands that it gave, one in a line. Faults are cases of a shell's case statement,
// by the command's name.
func runBootstrap(t *testing.T, script string, faults ...string) string {
	t.Helper()
	dir := t.TempDir()
	bin, log := filepath.Join(dir, "bin"), filepath.Join(dir, "log")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	standIn := fmt.Sprintf("#!/bin/sh\nname=$(basename \"$0\")\necho \"$name $*\" >>%q\nWORK=%q\ncase $name in\n%s\ngetent) exit 2 ;;\nesac\n",
		log, dir, strings.Join(faults, "\n"))
	for _, name := range []string{"aws", "curl", "sha256sum", "install", "useradd", "usermod", "getent", "systemctl", "haproxy", "hacluster", "dpkg", "apt-get", "sleep",
		"chmod", "amazon-cloudwatch-agent-ctl"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(standIn), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script = strings.ReplaceAll(script, "/opt/aws/amazon-cloudwatch-agent/bin/", "")
	instance := filepath.Join(dir, "instance-id")
	if err := os.WriteFile(instance, []byte("i-0123456789abcdef0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script = strings.ReplaceAll(script, "/var/lib/cloud/data/instance-id", instance)
	script = strings.Replace(script, "work=$(mktemp -d)", "work="+dir+"/work; mkdir $work", 1)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil && len(faults) == 0 {
		t.Fatalf("bootstrap: %v\n%s", err, out)
	}
	did, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(did), dir+"/work", "WORK")
}

// TestFacts runs the questions to EC2 against the emulator, which does what is assumed of EC2, and by an aws command that drops the
// condition of a compare-and-set, which must be noticed.
func TestFacts(t *testing.T) {
	for _, row := range []struct {
		name, breaks string
		fails        bool
		says         string
	}{
		{"as documented", "", false, "as assumed: AllowReassociation=false fails while another holds the address"},
		{"reassociates all the same", "--no-allow-reassociation", true, "NOT AS ASSUMED: AllowReassociation=false fails while another holds the address"},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, err := runFacts(t, row.breaks)
			if failed := err != nil; failed != row.fails || !strings.Contains(out, row.says) {
				t.Errorf("error %v, want one: %v; said:\n%s", err, row.fails, out)
			}
			for _, id := range []string{"fresh id", "was ended disassociates nothing", "was displaced disassociates nothing"} {
				if !strings.Contains(out, id) {
					t.Errorf("%q was not asked; said:\n%s", id, out)
				}
			}
		})
	}
}

// runFacts runs facts.sh with Debian's aws command and the emulator; breaks is an argument that the command loses on the way.
func runFacts(t *testing.T, breaks string) (string, error) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/aws"); err != nil {
		missing(t, "no aws command: apt-get install awscli")
	}
	fake, endpoint := newFake(t)
	bin := t.TempDir()
	wrapper := fmt.Sprintf("#!/bin/bash\nfor a in \"$@\"; do [ \"$a\" = %q ] || args+=(\"$a\"); done\n"+
		"exec /usr/bin/aws --endpoint-url %s \"${args[@]}\"\n", breaks, endpoint)
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(wrapper), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), labTest+"/facts.sh", alloc, interfaceID(1), interfaceID(2))
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "FACTS_PAUSE=0",
		"AWS_ACCESS_KEY_ID="+testKey, "AWS_SECRET_ACCESS_KEY="+testSecret, "AWS_DEFAULT_REGION="+region, "AWS_CONFIG_FILE=/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	if state := fake.State(); state.Addresses[0].AssociationID != "" {
		t.Errorf("the address was left at %s", state.Addresses[0].AssociationID)
	}
	return string(out), err
}

// TestGap: what failover.sh tells of a list of probes.
func TestGap(t *testing.T) {
	for _, row := range []struct{ name, probes, want string }{
		{"nothing lost", "1 ok,2 ok,3 ok", "0.00 0"},
		{"one lost", "1 ok,2 no,3 ok", "2.00 1"},
		{"from the last served to the next", "1 ok,2 no,3 no,4.5 ok,5 ok", "3.50 2"},
		{"the longest of two", "1 ok,2 no,3 ok,4 no,5 no,6 ok", "3.00 3"},
		{"what was before the start is not counted", "1 no,9 ok,11 no,12 ok", "3.00 1"},
		{"a pause of the prober is no gap", "1 ok,20 ok", "0.00 0"},
		{"not back", "11 ok,12 no", "open 1"},
	} {
		start := "0"
		if strings.Contains(row.name, "before the start") {
			start = "10"
		}
		cmd := exec.CommandContext(t.Context(), "awk", "-v", "start="+start, "-f", labTest+"/gap.awk")
		cmd.Stdin = strings.NewReader(strings.ReplaceAll(row.probes, ",", "\n") + "\n")
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != row.want {
			t.Errorf("%s: %q, want %q (%v)", row.name, got, row.want, err)
		}
	}
}
