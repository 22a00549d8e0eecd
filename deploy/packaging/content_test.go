package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// built returns the one file in build/dist that matches; 'make dist-test' says where that is.
func built(t *testing.T, pattern string) string {
	t.Helper()
	dir := os.Getenv("HACLUSTER_DIST")
	if dir == "" {
		t.Skip("NOT TESTED: the packages; 'make dist-test' does")
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %v, %v", pattern, dir, found, err)
	}
	return found[0]
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// listed returns the files of a listing whose lines have the mode in the first column and the owner in the one given, without the
// directories that dpkg's listings have and rpm's have not.
func listed(listing string, owner, path int) []string {
	var files []string
	for line := range strings.Lines(listing) {
		columns := strings.Fields(line)
		if len(columns) <= path || strings.HasPrefix(columns[0], "d") {
			continue
		}
		files = append(files, columns[0]+" "+columns[owner]+" /"+strings.TrimLeft(columns[path], "./"))
	}
	slices.Sort(files)
	return files
}

// TestBothPackagesHoldTheSame: one description makes both; only zsh's directory differs.
func TestBothPackagesHoldTheSame(t *testing.T) {
	for _, arch := range [][2]string{{"amd64", "x86_64"}, {"arm64", "aarch64"}} {
		deb := listed(output(t, "dpkg-deb", "--contents", built(t, "hacluster_*_"+arch[0]+".deb")), 1, 5)
		rpm := listed(output(t, "rpm", "--query", "--list", "--queryformat", "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]",
			"--package", built(t, "hacluster-*."+arch[1]+".rpm")), 1, 2)
		for i, file := range deb {
			deb[i] = strings.Replace(file, "zsh/vendor-completions", "zsh/site-functions", 1)
		}
		slices.Sort(deb)
		if diff := cmp.Diff(deb, rpm); diff != "" {
			t.Errorf("%s (-deb +rpm):\n%s", arch[0], diff)
		}
		for _, want := range []string{
			"-rwxr-xr-x root/root /usr/bin/hacluster", "-rw-r--r-- root/root /usr/lib/systemd/system/hacluster.service",
			"-rw------- root/root /etc/hacluster/environment", "-rw-r--r-- root/root /usr/share/doc/hacluster/copyright",
			"-rw-r--r-- root/root /usr/share/doc/hacluster/third-party-licenses.txt", "-rw-r--r-- root/root /usr/share/man/man1/hacluster-agent.1.gz",
		} {
			if !slices.Contains(deb, want) {
				t.Errorf("%s: no %s in\n%s", arch[0], want, strings.Join(deb, "\n"))
			}
		}
	}
}

// TestScriptsOfTheRPM: rpm runs them with numbers in place of dpkg's words; what they do is tried with dpkg.
func TestScriptsOfTheRPM(t *testing.T) {
	file := built(t, "hacluster-*.x86_64.rpm")
	scripts := output(t, "rpm", "--query", "--scripts", "--package", file)
	for _, name := range []string{"postinstall", "preremove", "postremove"} {
		text, err := os.ReadFile(name + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		tag := map[string]string{"postinstall": "postinstall", "preremove": "preuninstall", "postremove": "postuninstall"}[name]
		if !strings.Contains(scripts, tag+" scriptlet") || !strings.Contains(scripts, strings.TrimSpace(string(text))) {
			t.Errorf("no %s in\n%s", name, scripts)
		}
	}
	if flags := output(t, "rpm", "--query", "--configfiles", "--package", file); strings.TrimSpace(flags) != "/etc/hacluster/environment" {
		t.Errorf("configuration files: %s", flags)
	}
}

// TestProgramsAreStatic: they run on a machine with any C library, or none.
func TestProgramsAreStatic(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		program := built(t, "hacluster_*_linux_"+arch)
		if out := output(t, "go", "version", "-m", program); !strings.Contains(out, "CGO_ENABLED=0") || !strings.Contains(out, "-trimpath=true") ||
			!strings.Contains(out, "GOARCH="+arch) {
			t.Errorf("%s: %s", arch, out)
		}
	}
}

// TestBillOfMaterials: it names the program and what is known to be in it.
func TestBillOfMaterials(t *testing.T) {
	data, err := os.ReadFile(built(t, "hacluster_*_linux_arm64.spdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Packages []struct{ Name, VersionInfo string }
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, p := range document.Packages {
		versions[p.Name] = p.VersionInfo
	}
	for _, name := range []string{"github.com/hacluster/hacluster", "stdlib", "github.com/hashicorp/raft", "go.etcd.io/bbolt"} {
		if versions[name] == "" {
			t.Errorf("no version of %s in %v", name, versions)
		}
	}
}

func TestChecksums(t *testing.T) {
	sums := built(t, "SHA256SUMS")
	cmd := exec.Command("sha256sum", "--check", "--strict", filepath.Base(sums))
	cmd.Dir = filepath.Dir(sums)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if n := strings.Count(string(out), ": OK"); n != 8 {
		t.Errorf("%d files, want 8: for two architectures a binary, its bill of materials, a .deb and an .rpm\n%s", n, out)
	}
}
