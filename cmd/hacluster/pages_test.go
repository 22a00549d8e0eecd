package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hacluster/hacluster/internal/doccheck"
	"github.com/hacluster/hacluster/internal/manpage"
)

var update = flag.Bool("update", false, "rewrite docs/CLI.md")

// TestCommandsInPagesExist: the documentation calls hacluster by commands and with flags that there are; in blocks the arguments are whole.
func TestCommandsInPagesExist(t *testing.T) {
	pages, err := doccheck.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	calls := doccheck.Calls(pages, "hacluster")
	if len(calls) < 100 {
		t.Errorf("only %d calls were found", len(calls))
	}
	for _, call := range calls {
		if err := doccheck.Check(rootCommand(), call); err != nil {
			t.Errorf("%s: hacluster %s: %v", call.Where, strings.Join(call.Args, " "), err)
		}
	}
}

// TestFlagsInPagesExist: a flag that is named by itself belongs to some command.
func TestFlagsInPagesExist(t *testing.T) {
	pages, err := doccheck.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"help": true}
	walk(rootCommand(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	})
	alone := regexp.MustCompile(`^--([a-z-]+)`)
	for _, p := range pages {
		for _, code := range p.Code() {
			if m := alone.FindStringSubmatch(code.Text); m != nil && code.Inline && !known[m[1]] {
				t.Errorf("%s: no command has the flag --%s", code.Where(), m[1])
			}
		}
	}
}

// TestCommandsInMessagesExist: what the program tells the operator to run can be run. Commands stand in single quotes there.
func TestCommandsInMessagesExist(t *testing.T) {
	var files []string
	for _, dir := range []string{"*", "internal/*", "cmd/*"} {
		found, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	quoted := regexp.MustCompile(`'(hacluster [^'\n]+)'`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			for _, call := range doccheck.CallsIn(doccheck.Snippet{Page: file, Inline: true, Text: m[1]}, "hacluster") {
				seen++
				if err := doccheck.Check(rootCommand(), call); err != nil {
					t.Errorf("%s: '%s': %v", file, m[1], err)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands were found", seen)
	}
}

const cliHead = `# The command line

Written by the commands themselves: ` + "`go test ./cmd/hacluster -run TestCLIPage -update`" + ` renews this page, and a test compares. Each command has the same as ` + "`--help`" + `, with examples,
and a man page (` + "`man hacluster-status`" + `). The packages bring completion for bash, zsh and fish; elsewhere ` + "`source <(hacluster completion bash)`" + `.

Answers are for people; with ` + "`-o json`" + ` they are for programs. Fields may be added to JSON, and none changes its meaning. What goes wrong is said on standard error.

## Exit status

The same everywhere: **0** is done, or all is well. **1** is not done, or something is wrong. **2** is that it was not even tried, or is not known: a wrong command line, an agent that does
not answer, a file that cannot be read. So a script that sees 2 has learnt nothing about the cluster.

`

// TestCLIPage: docs/CLI.md says of each command what the command says.
func TestCLIPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(cliHead + "## Commands\n\n| command | | `-o` | exit status |\n|---|---|---|---|\n")
	for _, cmd := range leaves(rootCommand()) {
		formats := ""
		if f := cmd.Flags().Lookup("output"); f != nil {
			formats = f.DefValue + ", json"
		}
		var statuses []string
		for line := range strings.Lines(cmd.Annotations[manpage.ExitStatus]) {
			statuses = append(statuses, strings.Join(strings.Fields(line), " "))
		}
		use := strings.TrimSpace(strings.TrimSuffix(cmd.UseLine(), "[flags]"))
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", strings.ReplaceAll(use, "|", `\|`), cmd.Short, formats, strings.Join(statuses, "<br>"))
	}
	const file = "../../docs/CLI.md"
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != page.String() {
		t.Errorf("docs/CLI.md is out of date (%v); run 'go test ./cmd/hacluster -run TestCLIPage -update' and look at the difference. Now:\n%s", err, page.String())
	}
}
