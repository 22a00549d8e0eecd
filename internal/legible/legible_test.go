package legible

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		`plain "text" \ with ü and 電`:   `plain "text" \ with ü and 電`,
		"two\nlines\tand a tab":         `two\nlines\tand a tab`,
		"\x1b[2J\x1b]0;owned\a":         `\x1b[2J\x1b]0;owned\a`,
		"C1 \u009b31m":                  `C1 \u009b31m`,
		"turned \u202egnp.exe":          `turned \u202egnp.exe`,
		"no utf-8: \xff\xfe, then \"ok": `no utf-8: \xff\xfe, then "ok`,
		"\ufffd is printable":           "\ufffd is printable",
		"carriage\rreturn":              `carriage\rreturn`,
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %s, want %s", in, got, want)
		}
	}
	if got, want := Text("one\ntwo\x1b"), "one\ntwo\\x1b"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
}

func TestClause(t *testing.T) {
	for in, want := range map[string]string{
		"short":                            "short",
		"exactly ten":                      "exactly ten",
		"more than eleven":                 "more tha…",
		strings.Repeat("\x1b", 1<<20):      `\x1b\x1b…`,
		strings.Repeat("é", 20):            "éééé…",
		strings.Repeat("\n", 3) + "hidden": `\n\n\nhi…`,
	} {
		got := Clause(in, 11)
		if got != want || len(got) > 11 || !utf8.ValidString(got) {
			t.Errorf("Clause(%.20q) = %q, want %q", in, got, want)
		}
	}
}

func TestStrings(t *testing.T) {
	type word string
	type inner struct {
		Text   string
		hidden string
	}
	type outer struct {
		Name   word
		At     time.Time
		Counts map[string]uint64
		Inners []inner
		Inner  *inner
		None   *inner
		Absent map[string]string
	}
	v := outer{Name: "a\nb", Counts: map[string]uint64{"x\x1b": 1}, Inners: []inner{{Text: "\a", hidden: "\a"}}, Inner: &inner{Text: "\r"}}
	Strings(&v)
	want := outer{Name: `a\nb`, Counts: map[string]uint64{`x\x1b`: 1}, Inners: []inner{{Text: `\a`, hidden: "\a"}}, Inner: &inner{Text: `\r`}}
	if diff := cmp.Diff(want, v, cmp.AllowUnexported(inner{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
