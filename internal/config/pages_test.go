package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/doccheck"
)

func pages(t *testing.T) []doccheck.Page {
	t.Helper()
	all, err := doccheck.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestYAMLInPages: what the pages print as a configuration is taken: a whole one as it is, a part of one as far as it goes.
func TestYAMLInPages(t *testing.T) {
	whole, partial := 0, 0
	begins := regexp.MustCompile(`^(?:` + strings.Join(fieldsOf(reflect.ValueOf(new(Config)).Elem()).keys, "|") + `):(?: *\n| *[{#]| (?:true|false|fast|default)\b)`)
	for _, p := range pages(t) {
		for _, code := range p.Code() {
			for _, text := range append(documents(code.Text), code.Text) {
				switch {
				case code.Inline || !begins.MatchString(text):
				case strings.HasPrefix(text, "cluster:") && strings.Contains(text, "\neip:"):
					whole++
					if _, err := parse(code.Where(), []byte(text), "lb-1", host); err != nil {
						t.Error(err)
					}
				default:
					partial++
					for _, problem := range decoded(code.Where(), text) {
						t.Error(problem)
					}
				}
			}
		}
	}
	if whole < 2 || partial < 5 {
		t.Errorf("only %d configurations and %d parts were found", whole, partial)
	}
}

// documents returns the here-documents of a script.
func documents(script string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?ms)<<'EOF'\n(.*?)^EOF$`).FindAllStringSubmatch(script, -1) {
		all = append(all, m[1])
	}
	return all
}

// decoded returns what is wrong with keys and values, and not what is missing.
func decoded(where, text string) Errors {
	d := &document{file: where, lines: map[string]int{}, blamed: map[string]bool{}}
	if body := d.parseYAML([]byte(strings.ReplaceAll(text, "…", ""))); body != nil {
		d.decode("", body, reflect.ValueOf(new(Config)).Elem())
	}
	return d.problems
}

// TestKeysInPages: 'eip.drift' and the like, as code, are keys.
func TestKeysInPages(t *testing.T) {
	known := leaves("", reflect.TypeFor[Config]())
	var sections []string
	for _, path := range known {
		if section, _, nested := strings.Cut(path, "."); nested && !slices.Contains(sections, section) {
			sections = append(sections, section)
		}
	}
	// A word of which a section's name is the beginning need not be a key: files, types, packages.
	key := regexp.MustCompile(`^((?:` + strings.Join(sections, "|") + `)(?:\.[a-z_]+)+)(?::.*)?$`)
	others := regexp.MustCompile(`\.(?:go|md|db|pcap|json|yaml)$`)
	seen := 0
	for _, p := range pages(t) {
		for _, code := range p.Code() {
			m := key.FindStringSubmatch(code.Text)
			if !code.Inline || m == nil || others.MatchString(code.Text) {
				continue
			}
			seen++
			if !slices.ContainsFunc(known, func(path string) bool { return path == m[1] || strings.HasPrefix(path, m[1]+".") }) {
				t.Errorf("%s: there is no key %s", code.Where(), m[1])
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d keys were looked for", seen)
	}
}
