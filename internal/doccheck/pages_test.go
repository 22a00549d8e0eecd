package doccheck

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const repository = "../.."

func pages(t *testing.T) []Page {
	t.Helper()
	all, err := Pages(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Fatalf("only %d pages", len(all))
	}
	return all
}

// TestLinksLead: every relative link leads to a file, and to a heading in it.
func TestLinksLead(t *testing.T) {
	anchors := map[string]map[string]bool{}
	for _, p := range pages(t) {
		anchors[p.Path] = p.Anchors()
	}
	seen := 0
	for _, p := range pages(t) {
		for _, l := range p.Links() {
			target, err := url.Parse(l.Target)
			if err != nil {
				t.Errorf("%s:%d: %v", p.Path, l.Line, err)
				continue
			}
			if target.Scheme != "" {
				continue
			}
			seen++
			file := p.Path
			if target.Path != "" {
				file = path.Join(path.Dir(p.Path), target.Path)
			}
			if _, err := os.Stat(filepath.Join(repository, file)); err != nil {
				t.Errorf("%s:%d: the link to %s leads nowhere", p.Path, l.Line, l.Target)
			} else if target.Fragment != "" && !anchors[file][target.Fragment] {
				t.Errorf("%s:%d: %s has no heading %q", p.Path, l.Line, file, target.Fragment)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d links were followed", seen)
	}
}

// TestMakeTargetsExist: 'make X' in code names a target of the Makefile.
func TestMakeTargetsExist(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	seen := 0
	for _, call := range Calls(pages(t), "make") {
		for _, word := range call.Args {
			if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
				continue
			}
			seen++
			if !targets[word] {
				t.Errorf("%s: the Makefile has no target %s", call.Where, word)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d targets were looked for", seen)
	}
}

// TestTestsExist: who says that a test shows something names one that there is.
func TestTestsExist(t *testing.T) {
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	for _, file := range sources(t) {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range declaration.FindAllStringSubmatch(read(t, file), -1) {
				declared[m[1]] = true
			}
		}
	}
	seen := 0
	name := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
	for _, p := range pages(t) {
		for _, code := range p.Code() {
			for _, test := range name.FindAllString(code.Text, -1) {
				seen++
				if !declared[test] {
					t.Errorf("%s: there is no test %s", code.Where(), test)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d tests were looked for", seen)
	}
}

// TestFilesExist: code that is a path of this repository leads to a file.
func TestFilesExist(t *testing.T) {
	tops, err := os.ReadDir(repository)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, top := range tops {
		if made := top.Name() == "build" || top.Name() == "bin"; top.IsDir() && !made && top.Name() != ".git" {
			names = append(names, regexp.QuoteMeta(top.Name()))
		}
	}
	ours := regexp.MustCompile(`^(?:\./)?((?:` + strings.Join(names, "|") + `)/[\w./*{},-]*)$`)
	seen := 0
	for _, p := range pages(t) {
		for _, code := range p.Code() {
			for _, word := range strings.Fields(code.Text) {
				m := ours.FindStringSubmatch(strings.TrimRight(word, ".,;:)"))
				if m == nil || strings.Contains(m[1], "...") {
					continue
				}
				for _, pattern := range braces(m[1]) {
					seen++
					if found, err := filepath.Glob(filepath.Join(repository, pattern)); err != nil || len(found) == 0 {
						t.Errorf("%s: there is no %s", code.Where(), pattern)
					}
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d files were looked for", seen)
	}
}

// braces expands the first {a,b}.
func braces(pattern string) []string {
	before, rest, ok := strings.Cut(pattern, "{")
	list, after, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		return []string{pattern}
	}
	var all []string
	for word := range strings.SplitSeq(list, ",") {
		all = append(all, before+word+after)
	}
	return all
}

// TestPagesThatAreNamedExist: by name alone, in pages and in what the program says.
func TestPagesThatAreNamedExist(t *testing.T) {
	texts := map[string]string{}
	for _, p := range pages(t) {
		texts[p.Path] = p.Text
	}
	for _, file := range sources(t) {
		if !strings.HasSuffix(file, "_test.go") {
			texts[file] = read(t, file)
		}
	}
	seen := 0
	name := regexp.MustCompile(`\b(docs/)?[A-Z][A-Z0-9_-]+\.md\b`)
	for where, text := range texts {
		for _, page := range name.FindAllString(text, -1) {
			seen++
			if !exists(path.Dir(where), page) && !exists("docs", strings.TrimPrefix(page, "docs/")) && !exists(".", page) {
				t.Errorf("%s names the page %s, which does not exist", where, page)
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d mentions were found", seen)
	}
}

func exists(dir, file string) bool {
	_, err := os.Stat(filepath.Join(repository, dir, file))
	return err == nil
}

// sources lists the Go files of the repository.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(repository), ".", func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && (name == "build" || name == ".git") {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(name, ".go") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
