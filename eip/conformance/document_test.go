package conformance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the tables in docs/EC2.md with what the rows say")

const document = "../../docs/EC2.md"

// The tables of the document are the rows, so neither can change alone.
func TestDocument(t *testing.T) {
	old, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var q quotes
	text := string(old)
	for _, part := range []struct{ name, text string }{
		{"differences", q.differences()}, {"assumptions", q.assumptions()}, {"quotes", q.list()},
	} {
		text = replacePart(t, text, part.name, part.text)
	}
	if *update {
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(old), text); d != "" {
		t.Errorf("%s is not what the rows say; 'go test ./eip/conformance -run TestDocument -update' rewrites it (-document +rows):\n%s", document, d)
	}
}

// replacePart puts a text between <!-- name --> and <!-- end -->.
func replacePart(t *testing.T, text, name, part string) string {
	t.Helper()
	head, rest, ok := strings.Cut(text, "<!-- "+name+" -->\n")
	_, tail, ended := strings.Cut(rest, "<!-- end -->")
	if !ok || !ended {
		t.Fatalf("%s has no place for the %s", document, name)
	}
	return head + "<!-- " + name + " -->\n" + part + "<!-- end -->" + tail
}

// quotes are AWS's words in the order of their first use. Tables refer to them by number.
type quotes struct{ used []source }

func (q *quotes) number(s source) int {
	n := slices.Index(q.used, s)
	if n < 0 {
		n = len(q.used)
		q.used = append(q.used, s)
	}
	return n + 1
}

// differences are the rows in which moto does not do what AWS documents.
func (q *quotes) differences() string {
	return q.table("moto", func(r row) string { return r.moto })
}

// assumptions are the rows in which AWS does not say what the emulator does.
func (q *quotes) assumptions() string {
	return q.table("why", func(r row) string { return r.assumed })
}

// table shows the rows that have something in the last column.
func (q *quotes) table(lastColumn string, last func(row) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| asked | AWS | the emulator | %s |\n|---|---|---|---|\n", lastColumn)
	for _, g := range groups() {
		for _, r := range g.rows {
			if last(r) != "" {
				fmt.Fprintf(&b, "| %s: %s | (%d) | %s | %s |\n", g.about, r.name, q.number(r.aws), r.want, last(r))
			}
		}
	}
	return b.String()
}

func (q *quotes) list() string {
	var b strings.Builder
	for n, s := range q.used {
		_, name, _ := strings.Cut(s.page, "APIReference/")
		fmt.Fprintf(&b, "%d. %s ([%s](%s))\n", n+1, s.says, strings.TrimSuffix(strings.TrimPrefix(name, "API_"), ".html"), s.page)
	}
	return b.String()
}
