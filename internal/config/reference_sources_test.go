package config

import (
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// keyText is what the example says of a key: above it, beside it, and there of what applies without it.
type keyText struct{ above, beside, without string }

// schedule stands before the keys that several health checks have; the first one to explain them does so for all.
const schedule = "health.stats."

// exampleTexts reads the comments of the example. Of the nodes, the first that says something of a key counts.
func exampleTexts(text string) map[string]keyText {
	texts := map[string]keyText{}
	var above []string
	var path []string // of the line before
	var indents []int // of each of them
	keyLine := regexp.MustCompile(`^( *(?:- )?)([a-z_]+):(?:.*?\s# (.*))?`)
	for line := range strings.Lines(uncomment(text)) {
		line = strings.TrimRight(line, "\n")
		comment, isComment := strings.CutPrefix(strings.TrimSpace(line), "#")
		m := keyLine.FindStringSubmatch(line)
		switch {
		case isComment:
			above = append(above, strings.TrimSpace(comment))
			continue
		case m != nil:
			for len(indents) > 0 && indents[len(indents)-1] >= len(m[1]) {
				path, indents = path[:len(path)-1], indents[:len(indents)-1]
			}
			path, indents = append(path, m[2]), append(indents, len(m[1]))
			if key := strings.Join(path, "."); texts[key] == (keyText{}) {
				texts[key] = newKeyText(strings.Join(above, " "), m[3])
			}
		}
		above = nil
	}
	return texts
}

func newKeyText(above, beside string) keyText {
	k := keyText{above: above, beside: beside}
	if rest, ok := strings.CutPrefix(above, "Required."); ok {
		k.above, k.without = strings.TrimSpace(rest), "required"
	}
	if rest, ok := strings.CutPrefix(beside, "required"); ok {
		k.without, k.beside = "required", strings.TrimLeft(rest, ":; ")
	}
	if rest, ok := strings.CutPrefix(beside, "default: "); ok {
		k.without, k.beside, _ = strings.Cut(rest, "; ")
	}
	return k
}

// allowed asks the rules themselves: what they say to write in place of absurd values. Remedies that are one value, or take something
// away, tell of no range.
func allowed(t *testing.T, path string) string {
	t.Helper()
	var remedies []string
	c := wholeFor(t, path)
	for _, absurd := range absurdities(at(&c, path).Type()) {
		c := wholeFor(t, path)
		at(&c, path).Set(absurd)
		d := &document{lines: map[string]int{path: 1}, blamed: map[string]bool{}}
		c.validate(d)
		key := strings.Replace(path, "nodes.", "nodes[0].", 1)
		for _, p := range d.problems {
			remedy, ok := strings.CutPrefix(p.Remedy, "write ")
			remedy = strings.TrimPrefix(remedy, "a number from ")
			_, notDuration := time.ParseDuration(remedy)
			about := p.Key == key || strings.HasPrefix(p.Key, key+"[")
			if ok && about && notDuration != nil && !strings.Contains(remedy, "remove") && !strings.Contains(remedy, ": with ") && !slices.Contains(remedies, remedy) {
				remedies = append(remedies, remedy)
			}
		}
	}
	return strings.Join(remedies, "; ")
}

// wholeFor is the example, with the sections that it only shows.
func wholeFor(t *testing.T, path string) Config {
	t.Helper()
	c := parseExample(t)
	c.Discovery = &Discovery{}
	fill(reflect.ValueOf(&c.Health).Elem(), ProfileDefault)
	if strings.HasPrefix(path, "discovery.") {
		c.Discovery.setDefaults(ProfileDefault)
		c.Nodes = nil
	} else {
		c.Discovery = nil
	}
	return c
}

// absurdities are values of a type that no rule accepts.
func absurdities(t reflect.Type) []reflect.Value {
	var values []any
	switch t {
	case reflect.TypeFor[time.Duration]():
		values = []any{-time.Hour, 10000 * time.Hour}
	case reflect.TypeFor[netip.Addr]():
		values = []any{netip.IPv6Unspecified()}
	case reflect.TypeFor[netip.AddrPort]():
		values = []any{netip.AddrPortFrom(netip.IPv6Unspecified(), 0)}
	case reflect.TypeFor[netip.Prefix]():
		values = []any{netip.MustParsePrefix("::/0")}
	case reflect.TypeFor[int]():
		values = []any{-1, 1 << 40}
	}
	var all []reflect.Value
	for _, v := range values {
		all = append(all, reflect.ValueOf(v))
	}
	switch t.Kind() {
	case reflect.String:
		all = append(all, reflect.ValueOf(strings.Repeat("\x00", 200)).Convert(t))
	case reflect.Slice:
		for _, element := range absurdities(t.Elem()) {
			list := reflect.MakeSlice(t, 0, 100)
			for range 100 {
				list = reflect.Append(list, element)
			}
			all = append(all, list)
		}
	}
	return all
}
