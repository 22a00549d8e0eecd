package keepalived

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// folder is a set of files by name.
type folder map[string]string

func (f folder) ReadFile(name string) ([]byte, error) {
	text, ok := f[filepath.Clean(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func (f folder) Glob(pattern string) ([]string, error) {
	var names []string
	for name := range f {
		matches, err := filepath.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if matches {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// outline prints statements as "line: words joined by |", blocks indented.
func outline(b *strings.Builder, statements []*Statement, indent string) {
	for _, s := range statements {
		fmt.Fprintf(b, "%s%d: %s\n", indent, s.At.Line, strings.Join(s.Words, "|"))
		if s.HasBlock {
			outline(b, s.Block, indent+"  ")
		}
	}
}

func lines(text ...string) string { return strings.Join(text, "\n") + "\n" }

// environment is what ${_ENV NAME} finds.
func environment(name string) (string, bool) { return "prod", name == "STAGE" }

// TestPipeIsNotRead: keepalived's notify_fifo may lie where 'include *' finds it, and nobody may ever write to it.
func TestPipeIsNotRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Disk{}.ReadFile(name)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("read a pipe: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("waits for somebody to write to the pipe")
	}
}

// TestParse: one form of the grammar each. The host is lb-a.
func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"comments": {
			lines("! first", "# second", "a b # third", "c d!fourth", `e "f # g" h`, `i j\#k`, "l 'm # n"),
			lines("3: a|b", "4: c|d", "5: e|f # g|h", "6: i|j#k", "7: l|'m"),
		},
		"carriage returns and a byte order mark": {"\ufeffa {\r\n  b c\r\n}\r\n", lines("1: a", "  2: b|c")},
		"brace on its own line":                  {lines("a", "{", "b", "}", "c {", "}"), lines("1: a", "  3: b", "5: c")},
		"a block on one line":                    {lines("a { b c }", "d{ e }"), lines("1: a", "  1: b|c", "2: d", "  2: e")},
		"braces in quotes":                       {lines(`a "{ b }"`), lines("1: a|{ b }")},
		"blocks in blocks":                       {lines("a {", " b {", "  c", " }", " d", "}"), lines("1: a", "  2: b", "    3: c", "  5: d")},
		"host": {
			lines("@lb-a a", "@lb-b b", "@^lb-a c", "@^lb-b d", "@lb-a @^lb-b e", "@lb-a\tf g", "@lb-a"),
			lines("1: a", "4: d", "5: e", "6: f|g"),
		},
		"variables": {
			lines("$A=1", "$B = 2", "$LONG=x y", "a $A", "b ${A}0", "c $A0", "d $LONG $A,z", "e $UNKNOWN", `f "${UNKNOWN}"`),
			lines("2: $B|=|2", "4: a|1", "5: b|10", "6: c|$A0", "7: d|x|y|1,z", "8: e|$UNKNOWN", "9: f|${UNKNOWN}"),
		},
		"variables are put in late": {
			lines("$NET=10.${N}.0", "$N=1", "a ${NET}.4", "$N=2", "a ${NET}.4"),
			lines("3: a|10.1.0.4", "5: a|10.2.0.4"),
		},
		"a condition in a variable": {lines("$MINE=@lb-a", "$OTHER=@lb-b", "$MINE a", "$OTHER b"), lines("3: a")},
		"predefined":                {lines("a ${_INSTANCE} ${_PWD}", "b ${_HASH}x", `c "${_ENV STAGE}"`), lines("1: a|lb-a|conf", "2: b", "3: c|prod")},
		"several lines in a variable": {
			lines(`$I= \`, ` a ${N} { \`, `  @lb-b b \`, `  c \`, ` }`, "$N=1", "$I", "$N=2", "$I", "d"),
			lines("7: a|1", "  4: c", "9: a|2", "  4: c", "10: d"),
		},
		"such variables in one another": {
			lines(`$IN= \`, ` b ${N} \`, ` c`, `$OUT= \`, ` a { \`, `  $N=1 \`, `  $IN \`, `  $N=2 \`, `  $IN \`, ` }`, "$OUT"),
			lines("11: a", "  7: b|1", "  3: c", "  9: b|2", "  3: c"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := Parse(folder{"conf/k.conf": c.text}, "conf/k.conf", Options{Host: "lb-a", LookupEnv: environment})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			outline(&b, file.Statements, "")
			if diff := cmp.Diff(c.want, b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestInclude: relative names start from the including file; each kind of include, wildcards and braces.
func TestInclude(t *testing.T) {
	files := folder{
		"etc/k.conf":          lines("include d/{b,a}.conf", "includer d/x*.conf", "block {", "includea /srv/one", "}", "include none/*"),
		"etc/d/a.conf":        "a",
		"etc/d/b.conf":        lines("include sub/deep.conf", "b"),
		"etc/d/sub/deep.conf": "deep ${_PWD}",
		"etc/d/x1.conf":       "x1",
		"etc/d/x2.conf":       "x2",
		"/srv/one":            "one",
	}
	file, err := Parse(files, "etc/k.conf", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	outline(&b, file.Statements, "")
	if diff := cmp.Diff(lines("1: deep|etc/d/sub", "2: b", "1: a", "1: x1", "1: x2", "3: block", "  1: one"), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if chain, want := file.Statements[0].At.Chain(), "etc/d/sub/deep.conf:1, from etc/d/b.conf:1, from etc/k.conf:1"; chain != want {
		t.Errorf("position = %s, want %s", chain, want)
	}
	if len(file.Notes) != 1 || file.Notes[0].At.Line != 6 {
		t.Errorf("notes = %v, want one about line 6, whose pattern matches nothing", file.Notes)
	}
}

// TestErrors: each names the line, and how it was reached.
func TestErrors(t *testing.T) {
	billion := lines("$A=x")
	for _, pair := range []string{"AB", "BC", "CD", "DE", "EF", "FG", "GH", "HI"} {
		billion += lines("$"+pair[1:]+"= \\") + strings.Repeat("  $"+pair[:1]+" \\\n", 30) + "  end\n"
	}
	files := folder{
		"main.conf": lines("a", "include bad.conf"), "bad.conf": lines("b {", `c "d`), "loop.conf": lines("", "include loop2.conf"), "loop2.conf": "include loop.conf",
		"many.conf": "include many.conf",
	}
	for text, want := range map[string]string{
		lines("a {", "b {", "}"):              "k.conf:1: the '{' of a is never closed",
		lines("a", "}"):                       "k.conf:2: '}' without a '{' before it",
		lines("a { }", "{"):                   "k.conf:2: '{' without a keyword before it",
		lines("a", `b "c`):                    `k.conf:2: a quote (") is not closed on this line`,
		lines("include main.conf"):            `bad.conf:2, from main.conf:2, from k.conf:1: a quote (") is not closed on this line`,
		lines("include loop.conf"):            "loop2.conf:1, from loop.conf:2, from k.conf:1: include loop.conf: the file includes itself",
		lines("", "include gone.conf"):        "k.conf:2: include gone.conf: no such file here: copy it beside this one",
		lines("~SEQ(N, 1, 3) a $N"):           "k.conf:1: ~SEQ is not read here: write out the lines that it makes",
		lines("a {", "~LST(X,{1,2}) b", "}"):  "k.conf:2: ~LST is not read here: write out the lines that it makes",
		lines("a ${_RANDOM 1 2}"):             "k.conf:1: ${_RANDOM} gives another configuration at each start: write a number",
		lines("a ${B}"):                       "k.conf:1: ${B} is not defined",
		lines("a ${_ENV B}"):                  "k.conf:1: the environment variable B is not set here: set it to what keepalived sees",
		lines("$A=$B", "$B=$A", "c $A"):       "k.conf:3: its definitions refer to themselves",
		lines("$A=$A $A", "c $A"):             "k.conf:2: this line becomes too long when its definitions are put in",
		lines(`$A=x \`, `y$A \`, "z", "$A"):   "k.conf:4: a definition of several lines refers to itself",
		billion + "$I\n":                      "more than 100000 lines, definitions and includes counted",
		"a\x00b":                              "k.conf:1: a line with zero bytes, or a very long one: is this a keepalived.conf?",
		strings.Repeat("a {\n", maxDepth+1):   "k.conf:17: too many blocks one in another",
		`"" a`:                                "k.conf:1: an empty keyword",
		lines("include [") + "":               "k.conf:1: include [: syntax error in pattern",
		lines("a", "b", "include many.conf*"): "many.conf:1, from k.conf:3: include many.conf: the file includes itself",
	} {
		files["k.conf"] = text
		_, err := Parse(files, "k.conf", Options{})
		var known *Error
		if !errors.As(err, &known) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%.40q:\n got %v\nwant %s", text, err, want)
		}
	}
	if _, err := Parse(files, "none.conf", Options{}); err == nil || err.Error() != "none.conf: cannot be read: file does not exist" {
		t.Errorf("a missing file: %v", err)
	}
}

// TestCommand: what keepalived executes, by its own rules about quotes.
func TestCommand(t *testing.T) {
	for text, want := range map[string]Command{
		`script "pidof haproxy"`:                   {Text: "pidof haproxy", Argv: []string{"pidof", "haproxy"}},
		`script pidof haproxy`:                     {Text: "pidof", Argv: []string{"pidof"}, Lost: "haproxy"},
		`script '/bin/a "b c"'`:                    {Text: `/bin/a "b c"`, Argv: []string{"/bin/a", "b c"}},
		`notify_master "/m.sh a" root wheel`:       {Text: "/m.sh a", Argv: []string{"/m.sh", "a"}, User: "root wheel"},
		`notify "/m.sh 'a b' \"c d\" \x41\102\cA"`: {Text: `/m.sh 'a b' \"c d\" \x41\102\cA`, Argv: []string{"/m.sh", "a b", `"c`, `d"`, "AB\x01"}},
		`notify_stop /m.sh`:                        {Text: "/m.sh", Argv: []string{"/m.sh"}},
	} {
		file, err := Parse(folder{"k": text}, "k", Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := file.Statements[0].Command()
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"notify", `notify ""`, "notify '", `notify "a'"`, `notify "/a \0"`} {
		file, err := Parse(folder{"k": text}, "k", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := file.Statements[0].Command(); err == nil {
			t.Errorf("%s: read as %v", text, c)
		}
	}
}

// FuzzParse: whatever the text, Parse ends, and either fails with a position or returns statements with words.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a { b }", "$A= \\\n a \\\n b\n$A", "@lb-a a\n@^lb-a b", "include k.conf", "include {k,l}*.conf", `notify "/a 'b' \x41" root`,
		"a ${_ENV STAGE}", "~SEQ(A,1,2) b", "$A=$B\n$B=$A\n$A", "! c\n# d\n\"e\"",
	} {
		f.Add(seed, "x {\n y\n}\n")
	}
	f.Fuzz(func(t *testing.T, main, other string) {
		file, err := Parse(folder{"k.conf": main, "l.conf": other}, "k.conf", Options{Host: "lb-a", LookupEnv: environment})
		if err != nil {
			var known *Error
			if !errors.As(err, &known) || known.At.File == "" || known.What == "" {
				t.Fatalf("error without a place: %#v", err)
			}
			return
		}
		check(t, file.Statements, 0)
	})
}

func check(t *testing.T, statements []*Statement, depth int) {
	t.Helper()
	if depth > maxDepth {
		t.Fatal("too deep")
	}
	for _, s := range statements {
		if s.Keyword() == "" || s.At.Line < 1 {
			t.Fatalf("a statement without a keyword or a line: %#v", s)
		}
		_, _ = s.Command() // must not panic
		check(t, s.Block, depth+1)
	}
}
