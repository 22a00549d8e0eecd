package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/legible"
	"github.com/hacluster/hacluster/internal/manpage"
)

// Exit statuses mean the same everywhere; docs/CLI.md has the words of each command.
const (
	statusNotDone  = 1 // or something is wrong
	statusNotTried = 2 // it is not known: wrong command line, no agent, nothing to read

	// statusMisconfigured is EX_CONFIG of sysexits.h: the agent's configuration cannot be used, and to try again does not make it better.
	// The unit names it, so that systemd does not.
	statusMisconfigured = 78
)

// exitError ends a command with a status of its own. Without an error in it, the command has said everything.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d: %v", e.status, e.err) }

func (e *exitError) Unwrap() error { return e.err }

// notTried gives an error the status of what did not even begin.
func notTried(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{status: statusNotTried, err: err}
}

// execute runs the command that the arguments name. What ends one before it has begun was wrong in the command line.
func execute(ctx context.Context, root *cobra.Command) error {
	began := false
	walk(root, func(cmd *cobra.Command) {
		if run := cmd.RunE; run != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				began = true
				return run(cmd, args)
			}
		}
	})
	err := root.ExecuteContext(ctx)
	if err != nil && !began && !errors.As(err, new(*exitError)) {
		return notTried(err)
	}
	return err
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		walk(c, visit)
	}
}

// explain says what went wrong, and returns the exit status.
func explain(err error) int {
	status := statusNotDone
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		status, err = exit.status, exit.err
	case errors.As(err, new(*adminapi.Unreachable)):
		status = statusNotTried
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hacluster: "+legible.Text(err.Error()))
	}
	return status
}

// exits notes what the exit statuses of a command mean, for --help, the man page and docs/CLI.md. own are lines of statuses that no other
// command has.
func exits(cmd *cobra.Command, done, notDone, notTried string, own ...string) {
	text := ""
	for status, meaning := range []string{done, notDone, notTried} {
		if meaning != "" {
			text += fmt.Sprintf("  %d  %s\n", status, meaning)
		}
	}
	for _, line := range own {
		text += "  " + line + "\n"
	}
	cmd.Annotations = map[string]string{manpage.ExitStatus: text}
}

// explainExits notes what most commands mean by them, where nothing else was noted, and lets --help show all.
func explainExits(root *cobra.Command) {
	exits(root, "done, or all is well", "not done, or something is wrong", "not tried, or not known: the command line is wrong, no agent answers, a file cannot be read")
	walk(root, func(cmd *cobra.Command) {
		if !cmd.Runnable() || cmd.Annotations[manpage.ExitStatus] != "" {
			return
		}
		notTried := "not tried: the command line is wrong"
		if cmd.Flag("socket") != nil {
			notTried += ", or the agent does not answer"
		}
		exits(cmd, "done", "not done; standard error has the reason", notTried)
	})
	root.SetUsageTemplate(root.UsageTemplate() + `{{with index .Annotations "` + manpage.ExitStatus + `"}}
Exit status:
{{.}}{{end}}`)
}
