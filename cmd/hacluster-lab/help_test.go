package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/doccheck"
)

// TestEveryCommandHasAnExample: one that works.
func TestEveryCommandHasAnExample(t *testing.T) {
	visit := func(cmd *cobra.Command) {
		calls := doccheck.CallsIn(doccheck.Snippet{Text: cmd.Example}, "hacluster-lab")
		if cmd.Short == "" || len(calls) == 0 || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
		for _, call := range calls {
			if err := doccheck.Check(root(), call); err != nil {
				t.Errorf("%s: the example %q: %v", cmd.CommandPath(), call.Args, err)
			}
		}
	}
	visit(root())
	for _, cmd := range root().Commands() {
		visit(cmd)
	}
}

// TestCommandsInPagesExist: the documentation calls hacluster-lab by commands and with flags that there are.
func TestCommandsInPagesExist(t *testing.T) {
	pages, err := doccheck.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	calls := doccheck.Calls(pages, "hacluster-lab")
	if len(calls) < 6 {
		t.Errorf("only %d calls were found", len(calls))
	}
	for _, call := range calls {
		if err := doccheck.Check(root(), call); err != nil {
			t.Errorf("%s: hacluster-lab %s: %v", call.Where, strings.Join(call.Args, " "), err)
		}
	}
}
