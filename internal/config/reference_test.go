package config

import (
	"cmp"
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const referenceHead = `# Configuration: every key

Written by the code that reads the file: ` + "`go test ./internal/config -update`" + ` renews this page, and a test compares. What a key means is said by the
comments of [config.example.yaml](config.example.yaml), the same keys as one file.

The same file goes to every node; each finds itself by its hostname. ` + "`hacluster config check FILE`" + ` names all mistakes at once, each with its line, and prints what the timings
come to ([TIMING.md](TIMING.md)). Unknown keys are mistakes. Durations are numbers with units: ` + "`500ms`, `2s`, `1m30s`" + `.

- **value**: the type, and what ` + "`config check`" + ` says to write in place of something absurd. Where that depends on other keys, those have their defaults here.
- **default**, **fast**: what applies without the key, in ` + "`profile: default`" + `, and in ` + "`profile: fast`" + ` where that differs.
- **live**: ` + "`hacluster reload`" + ` or SIGHUP is enough. For the others restart the nodes one after the other ([OPERATIONS.md](OPERATIONS.md#reload)); the [reasons](#why-a-restart)
  are at the end.
`

// TestReference: docs/CONFIGURATION.md says of each key what the code and the example say, and no key is missing.
func TestReference(t *testing.T) {
	r := &reference{t: t, texts: exampleTexts(readExample(t)), quiet: whole(ProfileDefault), fast: whole(ProfileFast)}
	r.WriteString(referenceHead)
	r.profiles()
	r.section("", "At the top", reflect.TypeFor[Config]())
	r.reasons()
	checkGolden(t, "../../docs/CONFIGURATION.md", r.String())
}

// reference writes the page.
type reference struct {
	strings.Builder
	t           *testing.T
	texts       map[string]keyText // by path, and by type and key
	quiet, fast Config
}

// whole is a configuration with the defaults of every section, those that are optional included, and a node.
func whole(profile Profile) Config {
	c := defaults(profile)
	c.Nodes = make([]Node, 1)
	fill(reflect.ValueOf(&c).Elem(), profile)
	return c
}

func fill(v reflect.Value, profile Profile) {
	switch {
	case v.Kind() == reflect.Slice && v.Len() > 0 && hasKeys(v.Type().Elem()):
		fill(v.Index(0), profile)
	case v.Kind() == reflect.Pointer && v.IsNil():
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), profile)
	case v.Kind() == reflect.Struct && hasKeys(v.Type()):
		if d, ok := v.Addr().Interface().(defaulter); ok {
			d.setDefaults(profile)
		}
		for _, field := range fieldsOf(v).byKey {
			fill(field, profile)
		}
	}
}

// hasKeys tells sections from values.
func hasKeys(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && isSection(t) && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// sectionOf returns what the section of a field consists of, if the field is one.
func sectionOf(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t, hasKeys(t)
}

// at finds the value at a path of keys; the first node stands for all.
func at(c *Config, path string) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for key := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() == reflect.Slice {
			v = v.Index(0)
		}
		v = fieldsOf(v).byKey[key]
	}
	return v
}

// leaves lists the paths of all keys that are no sections.
func leaves(path string, t reflect.Type) []string {
	var paths []string
	fields := fieldsOf(reflect.New(t).Elem())
	for _, key := range fields.keys {
		child := joinPath(path, key)
		if section, ok := sectionOf(fields.byKey[key].Type()); ok {
			paths = append(paths, leaves(child, section)...)
			continue
		}
		paths = append(paths, child)
	}
	return paths
}

func (r *reference) profiles() {
	r.WriteString("\n## What `profile: fast` changes\n\n| key | default | fast |\n|---|---|---|\n")
	for _, path := range leaves("", reflect.TypeFor[Config]()) {
		if quiet, fast := shown(at(&r.quiet, path)), shown(at(&r.fast, path)); quiet != fast {
			fmt.Fprintf(r, "| `%s` | %s | %s |\n", path, quiet, fast)
		}
	}
}

// section writes a section: its own keys first, then the sections in it.
func (r *reference) section(path, title string, t reflect.Type) {
	fmt.Fprintf(r, "\n%s %s\n", strings.Repeat("#", 2+strings.Count(path, ".")), title)
	if text := r.texts[path].above; text != "" {
		fmt.Fprintf(r, "\n%s\n", prose(text))
	}
	fields := fieldsOf(reflect.New(t).Elem())
	head := "\n| key | value | default | fast | live | |\n|---|---|---|---|---|---|\n"
	for _, key := range fields.keys {
		if _, ok := sectionOf(fields.byKey[key].Type()); !ok {
			r.WriteString(head)
			r.row(joinPath(path, key))
			head = ""
		}
	}
	for _, key := range fields.keys {
		if section, ok := sectionOf(fields.byKey[key].Type()); ok {
			child := joinPath(path, key)
			r.section(child, "`"+child+"`", section)
		}
	}
}

func (r *reference) row(path string) {
	key := path[strings.LastIndex(path, ".")+1:]
	text := r.texts[path]
	if text.above == "" && strings.HasPrefix(path, "health.") { // the probes' schedules are explained once
		text.above = r.texts[schedule+key].above
	}
	if text.above == "" && text.beside == "" {
		r.t.Errorf("docs/config.example.yaml does not say what %s means", path)
	}
	quiet, fast := shown(at(&r.quiet, path)), shown(at(&r.fast, path))
	if fast == quiet {
		fast = ""
	}
	instead := cmp.Or(text.without, quiet)
	if instead == "" {
		r.t.Errorf("docs/config.example.yaml does not say what applies without %s: write '# default: ...' beside it, or that it is required", path)
	}
	live := "yes"
	if reasonFor(path) != "" {
		live = ""
	}
	value := kindOf(at(&r.quiet, path).Type())
	if limits := allowed(r.t, path); limits != "" {
		value = strings.TrimPrefix(value+": "+limits, "text: ")
	}
	meaning := strings.TrimSpace(text.above + " " + text.beside)
	fmt.Fprintf(r, "| `%s` | %s | %s | %s | %s | %s |\n", path, prose(value), prose(instead), fast, live, prose(meaning))
}

func (r *reference) reasons() {
	r.WriteString("\n## Why a restart\n\n")
	var order []string
	keys := map[string][]string{}
	for _, path := range leaves("", reflect.TypeFor[Config]()) {
		reason := reasonFor(path)
		if reason == "" {
			continue
		}
		if keys[reason] == nil {
			order = append(order, reason)
		}
		if section, _, nested := strings.Cut(path, "."); nested && !slices.Contains(keys[reason], section) && !liveWithin(section) {
			keys[reason] = append(keys[reason], section)
		} else if !nested || liveWithin(section) {
			keys[reason] = append(keys[reason], path)
		}
	}
	for _, reason := range order {
		fmt.Fprintf(r, "- `%s`: %s.\n", strings.Join(keys[reason], "`, `"), reason)
	}
}

// liveWithin reports whether some key of a section is taken live.
func liveWithin(section string) bool {
	return slices.ContainsFunc(leaves("", reflect.TypeFor[Config]()), func(path string) bool {
		return strings.HasPrefix(path, section+".") && reasonFor(path) == ""
	})
}

// shown is a value as in the file, or "".
func shown(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return "`" + short(value) + "`"
	case bool, int:
		return fmt.Sprintf("`%v`", value)
	case []StatusRange:
		return fmt.Sprintf("`[\"%d-%d\"]`", value[0].Min, value[0].Max)
	case fmt.Stringer:
		if v.IsZero() {
			return ""
		}
		return "`" + value.String() + "`"
	}
	if v.Kind() == reflect.String && v.Len() > 0 {
		return "`" + v.String() + "`"
	}
	return ""
}

func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[netip.AddrPort]():
		return "ip:port"
	case t == reflect.TypeFor[netip.Addr]():
		return "IP address"
	case t == reflect.TypeFor[netip.Prefix]():
		return "network"
	case t == reflect.TypeFor[StatusRange]():
		return "HTTP status codes"
	case t.Kind() == reflect.Slice:
		return "list of " + plural(kindOf(t.Elem()))
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "number"
	default:
		return "text"
	}
}

func plural(word string) string {
	switch {
	case strings.HasSuffix(word, "ss"):
		return word + "es"
	case strings.HasSuffix(word, "s"):
		return word
	default:
		return word + "s"
	}
}

// prose makes a comment of the example fit for a table: quotes become code, pages become links.
func prose(text string) string {
	text = regexp.MustCompile(`(^|[\s(:])'([^']+)'`).ReplaceAllString(text, "$1`$2`")
	text = regexp.MustCompile(`\bdocs/([A-Z]+\.md)`).ReplaceAllString(text, "[$1]($1)")
	return strings.ReplaceAll(text, "|", `\|`)
}
