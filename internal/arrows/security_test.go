package arrows

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityCitesTests: a claim of docs/SECURITY.md is worth as much as the test that it cites, so that has to be there.
func TestSecurityCitesTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	cited := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`").FindAllStringSubmatch(string(page), -1)
	if len(cited) < 30 {
		t.Fatalf("found only %d citations", len(cited))
	}
	tests := testNames(t)
	for _, c := range cited {
		if !tests[c[1]] {
			t.Errorf("%s is cited, and there is no such test", c[1])
		}
	}
	for _, transcript := range regexp.MustCompile("`TestTranscripts` \\(`(\\w+)`\\)").FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat("../controller/testdata/" + transcript[1] + ".txt"); err != nil {
			t.Errorf("transcript: %v", err)
		}
	}
}

// testNames returns the names of all tests and fuzz targets of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, d := range declared.FindAllSubmatch(text, -1) {
			names[string(d[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
