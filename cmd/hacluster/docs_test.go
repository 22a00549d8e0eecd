package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManPages: every command has a page, and man has nothing to say against any of them.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	root := rootCommand()
	root.SetArgs([]string{"docs", "man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range leaves(root) {
		page := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
		if _, err := os.Stat(page); err != nil {
			t.Errorf("no page for %s: %v", cmd.CommandPath(), err)
		}
	}
	if _, err := exec.LookPath("man"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no man: apt-get install man-db")
		}
		t.Skip("NOT TESTED: no man: apt-get install man-db")
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		cmd := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page)
		cmd.Env = append(os.Environ(), "MANWIDTH=100", "MANROFFSEQ=", "LC_ALL=C.UTF-8")
		var complaints strings.Builder
		cmd.Stderr = &complaints
		if _, err := cmd.Output(); err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, complaints.String())
		}
	}
}

// leaves returns the commands that do something and are shown. Some of them have others below them.
func leaves(cmd *cobra.Command) []*cobra.Command {
	var found []*cobra.Command
	if cmd.Runnable() {
		found = append(found, cmd)
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "completion" && c.Name() != "help" {
			found = append(found, leaves(c)...)
		}
	}
	return found
}
