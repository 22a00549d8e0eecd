package doccheck

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// sample has what the pages have: links, code of each kind, things that look like them.
const sample = `# The title: of ` + "`it`" + ` [all](x.md)

See [one](a.md#part), ![two](img/b.svg) and ` + "`[no](link.md)`" + `,
then [three](#the-title-of-it-all).

    hacluster status   # [no](link.md)

    hacluster history

1. A list that
    goes on, with ` + "`make test`" + `.

| a | ` + "`hacluster status \\| jq .`" + ` |

` + "```yaml" + `
cluster: {name: x}

    deep: here
` + "```" + `
## Part
## Part
`

func page() Page { return Page{Path: "docs/x.md", Text: sample} }

func TestLinks(t *testing.T) {
	want := []Link{{1, "x.md"}, {3, "a.md#part"}, {3, "img/b.svg"}, {4, "#the-title-of-it-all"}}
	if diff := cmp.Diff(want, page().Links()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnchors(t *testing.T) {
	want := map[string]bool{"the-title-of-it-all": true, "part": true, "part-1": true}
	if diff := cmp.Diff(want, page().Anchors()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCode(t *testing.T) {
	var got []Snippet
	for _, s := range page().Code() {
		s.Page, s.Text = "", strings.TrimSpace(s.Text)
		got = append(got, s)
	}
	want := []Snippet{
		{Line: 6, Text: "hacluster status   # [no](link.md)\n\nhacluster history"},
		{Line: 16, Lang: "yaml", Text: "cluster: {name: x}\n\n    deep: here"},
		{Line: 1, Inline: true, Text: "it"},
		{Line: 3, Inline: true, Text: "[no](link.md)"},
		{Line: 11, Inline: true, Text: "make test"},
		{Line: 13, Inline: true, Text: "hacluster status | jq ."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommands(t *testing.T) {
	text := `
$ a 'b c' "d" e\ f > out 2>&1   # g
(h && i) || ! j; T=$(k -l) | m >n \
  o
cat >p <<'EOF'
not 'a command
EOF
it's q &
`
	want := [][]string{{"$", "a", "b c", "d", "e f"}, {"h"}, {"i"}, {"!", "j"}, {"T="}, {"k", "-l"}, {"m", "o"}, {"cat"}, {"it's", "q"}}
	if diff := cmp.Diff(want, Commands(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCallsIn(t *testing.T) {
	const block = `
lb-1# hacluster status
sudo bin/hacluster doctor | hacluster vrrp verify -
ssh root@lb-1 hacluster history; A=b hacluster members
bin/hacluster-lab exec node-a -- hacluster reload
systemctl stop hacluster
apt-get install -y hacluster
hacluster: something is wrong
cmd/hacluster/   the program
`
	var got []string
	for _, c := range CallsIn(Snippet{Text: block}, "hacluster") {
		got = append(got, strings.Join(c.Args, " "))
	}
	if want := []string{"status", "doctor", "vrrp verify -", "history", "members", "reload"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if calls := CallsIn(Snippet{Text: "hacluster", Inline: true}, "hacluster"); len(calls) > 0 {
		t.Errorf("the name within a sentence: %v", calls)
	}
}

func TestCheck(t *testing.T) {
	root := func() *cobra.Command {
		root := &cobra.Command{Use: "pilot"}
		group := &cobra.Command{Use: "log"}
		show := &cobra.Command{Use: "show FILE", Args: cobra.ExactArgs(1), Run: func(*cobra.Command, []string) {}}
		show.Flags().Int("count", 0, "")
		show.Flags().String("by", "", "")
		_ = show.MarkFlagRequired("by")
		group.AddCommand(show)
		root.AddCommand(group)
		return root
	}
	tests := []struct {
		args  string
		whole bool
		want  string // in the error; empty: none
	}{
		{"log show --by x FILE", true, ""},
		{"log show", false, ""},
		{"log show --help", true, ""},
		{"completion bash", true, ""},
		{"log show FILE", true, "required flag"},
		{"log show --by x", true, "accepts 1 arg"},
		{"log", true, "does nothing by itself"},
		{"log", false, ""},
		{"log drop", false, `no command "drop"`},
		{"steer", false, "unknown command"},
		{"log show --colour", false, "unknown flag"},
		{"log show --count N", false, "invalid argument"},
		{"log show --by", false, ""},
		{"log show FILE --by", true, "needs an argument"},
	}
	for _, tt := range tests {
		err := Check(root(), Call{Args: strings.Fields(tt.args), Whole: tt.whole})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.want)
		}
	}
}
