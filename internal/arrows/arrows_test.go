// Package arrows holds the house together: which package may import which (docs/DESIGN.md, "The house").
package arrows

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hacluster/hacluster/"

const lab = "internal/lab"

// leaves never import one another; the controller is where they meet.
var leaves = []string{"fsm", "election", "vrrpwire", "eip", "health"}

// allowed lists what of ours each package may import, tests not counted. Packages under cmd/ wire everything and are free.
var allowed = map[string][]string{
	"fsm":                         {},
	"election":                    {"internal/boottime"},
	"vrrpwire":                    {"internal/boottime"},
	"eip":                         {},
	"eip/conformance":             {},
	"eip/ec2fake":                 {"internal/boottime"},
	"health":                      {"internal/boottime"},
	"internal/arrows":             {},
	"internal/boottime":           {},
	"internal/config":             {},
	"internal/controller":         {"eip", "election", "fsm", "health", "internal/legible", "vrrpwire"},
	"internal/adminapi":           {"election", "fsm", "internal/controller", "internal/legible"},
	"internal/doctor":             {"eip", "election", "health", "internal/adminapi", "internal/config", "internal/controller", "internal/discovery", "internal/keyring"},
	"internal/discovery":          {"eip"},
	"internal/fleet":              {"eip", "fsm", "internal/controller"},
	"internal/doccheck":           {},
	"internal/manpage":            {},
	"internal/sdnotify":           {},
	"deploy/packaging":            {},
	"deploy/packaging/sbom":       {},
	"internal/hooks":              {"internal/controller"},
	"internal/keepalived":         {},
	"internal/keepalived/convert": {"internal/keepalived", "internal/keepalived/script"},
	"internal/keepalived/script":  {},
	"internal/keyring":            {"internal/pki"},
	"internal/legible":            {},
	"internal/metrics":            {"eip", "election", "fsm", "health", "internal/controller", "internal/discovery", "internal/hooks", "vrrpwire"},
	"internal/packets":            {},
	"internal/pki":                {},
	"internal/pki/pkitest":        {"internal/pki"},
	"internal/tfcheck":            {},
	"internal/vrrpaudit":          {"internal/packets", "vrrpwire"},
	"internal/web":                {},
	"internal/web/statuspage":     {"internal/adminapi"},
	"model":                       {},
	"internal/sim":                {"eip", "eip/ec2fake", "election", "fsm", "health", "internal/controller", "internal/sim/judge", "internal/sim/simnet", "vrrpwire"},
	"internal/sim/judge":          {"fsm"},
	"internal/sim/mutants":        {},
	"internal/sim/simnet":         {},
}

func TestArrows(t *testing.T) {
	for pkg, imports := range ourImports(t) {
		if strings.HasPrefix(pkg, "cmd/") {
			continue
		}
		if pkg == lab || strings.HasPrefix(pkg, lab+"/") {
			checkLab(t, pkg, imports)
			continue
		}
		may, known := allowed[pkg]
		if !known {
			t.Errorf("package %s is not in the house: add it to the list here, and to docs/DESIGN.md, or put it elsewhere", pkg)
		}
		for _, i := range imports {
			if slices.Contains(leaves, pkg) && slices.Contains(leaves, i) {
				t.Errorf("leaf %s imports leaf %s: only internal/controller may know both", pkg, i)
			} else if !slices.Contains(may, i) {
				t.Errorf("%s imports %s: not an arrow of the house", pkg, i)
			}
		}
	}
}

// checkLab: the lab judges the product from outside, so it knows only the emulator and the clock.
func checkLab(t *testing.T, pkg string, imports []string) {
	t.Helper()
	for _, i := range imports {
		if i != lab && !strings.HasPrefix(i, lab+"/") && i != "eip/ec2fake" && i != "internal/boottime" {
			t.Errorf("%s imports %s: the lab is a black box around the binary", pkg, i)
		}
	}
}

// ourImports returns, for each package of the module, which packages of the module it imports.
func ourImports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		imports[pkg] = []string{}
		for _, w := range words[1:] {
			if ours, ok := strings.CutPrefix(w, module); ok {
				imports[pkg] = append(imports[pkg], ours)
			}
		}
	}
	if len(imports) < len(leaves) {
		t.Fatalf("go list found only %d packages", len(imports))
	}
	return imports
}
