package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/doccheck"
)

// TestEveryCommandHasAnExample: --help shows how, and what the exit statuses mean; the examples are command lines that there are.
func TestEveryCommandHasAnExample(t *testing.T) {
	seen := 0
	walk(rootCommand(), func(cmd *cobra.Command) {
		seen++
		if cmd.Short == "" || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
		for _, call := range doccheck.CallsIn(doccheck.Snippet{Text: cmd.Example}, "hacluster") {
			if err := doccheck.Check(rootCommand(), call); err != nil {
				t.Errorf("%s: the example %q: %v", cmd.CommandPath(), call.Args, err)
			}
		}
		if help := helpOf(t, cmd); cmd.Runnable() && (!strings.Contains(help, "Examples:\n") || !strings.Contains(help, "Exit status:\n  0  ")) {
			t.Errorf("%s --help lacks examples or exit statuses:\n%s", cmd.CommandPath(), help)
		}
	})
	if seen < 25 {
		t.Errorf("only %d commands were found", seen)
	}
}

func helpOf(t *testing.T, cmd *cobra.Command) string {
	t.Helper()
	var out strings.Builder
	cmd.SetOut(&out)
	if err := cmd.Help(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestEveryAnswerComesAsJSON: what says something says it for programs, too.
func TestEveryAnswerComesAsJSON(t *testing.T) {
	without := map[string]string{
		"hacluster agent":           "it writes a log; log.format says how",
		"hacluster events":          "it writes nothing but JSON",
		"hacluster recover":         "a dialogue",
		"hacluster tls ca create":   "it writes files",
		"hacluster tls cert create": "it writes files",
	}
	for _, cmd := range leaves(rootCommand()) {
		_, excused := without[cmd.CommandPath()]
		flag := cmd.Flags().Lookup("output")
		if has := flag != nil && flag.Shorthand == "o" && strings.Contains(flag.Usage, "json"); has == excused {
			t.Errorf("%s: has -o json: %v, and is excused from it: %v", cmd.CommandPath(), has, excused)
		}
	}
}
