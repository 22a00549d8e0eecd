package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox"
	"github.com/hacluster/hacluster/internal/lab/show"
)

func upCommand() *cobra.Command {
	var flags common
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Bring the lab up and leave it up until Ctrl-C",
		Example: "  hacluster-lab up",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = inside(func(cmd *cobra.Command) error {
		out := cmd.OutOrStdout()
		opts, err := flags.options((&show.Progress{Out: out, Started: time.Now()}).Line)
		if err != nil {
			return err
		}
		return lab.Run(cmd.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
			fmt.Fprintf(out, "\nThe lab is up; logs are in %s. Enter a host from another terminal:\n\n", opts.Dir)
			fmt.Fprintf(out, "    hacluster-lab exec node-a -- %s status\n", opts.Hacluster)
			fmt.Fprintf(out, "    hacluster-lab exec client -- curl -i http://%s/\n\n", lab.ElasticIP)
			fmt.Fprintln(out, "Ctrl-C takes it down.")
			<-ctx.Done()
			return nil
		})
	})
	flags.register(cmd)
	return cmd
}

func execCommand() *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "exec HOST -- COMMAND [ARG...]",
		Short: "Run a command on a host of a lab that is up",
		Example: `  hacluster-lab exec node-a -- hacluster status
  hacluster-lab exec client -- curl -i http://203.0.113.10/`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			run, err := chooseRun(token)
			if err != nil {
				return err
			}
			pid, err := run.Guest(host.Command, args[0])
			if err != nil {
				return err
			}
			return enterHost(pid, args[1:])
		},
	}
	cmd.Flags().StringVar(&token, "lab", "", "token of the lab, if there are several")
	return cmd
}

// enterHost replaces this process by the command in all namespaces of the host whose PID 1 is pid.
func enterHost(pid int, command []string) error {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return errors.New("nsenter is not installed: apt-get install util-linux")
	}
	args := []string{nsenter, "--target", strconv.Itoa(pid), "--mount", "--net", "--pid", "--uts", "--ipc"}
	if os.Getuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	env := append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	return syscall.Exec(nsenter, append(append(args, "--"), command...), env)
}

func chooseRun(token string) (sandbox.Run, error) {
	runs, err := sandbox.Runs()
	if err != nil {
		return sandbox.Run{}, err
	}
	for _, run := range runs {
		if run.Token == token || token == "" && len(runs) == 1 {
			return run, nil
		}
	}
	if len(runs) == 0 || token != "" {
		return sandbox.Run{}, fmt.Errorf("no such lab is up (%s): start one with hacluster-lab up", cmp.Or(token, "none at all"))
	}
	err = errors.New("several labs are up: choose one with --lab")
	for _, run := range runs {
		err = fmt.Errorf("%w\n  --lab %s  (%v, since %s)", err, run.Token, run.Command, run.Started.Format(time.TimeOnly))
	}
	return sandbox.Run{}, err
}

func downCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "End every lab of this user, also what a crashed one left behind",
		Example: "  hacluster-lab down",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runs, err := sandbox.Runs()
			if err != nil {
				return err
			}
			for _, run := range runs {
				alive, err := run.Down()
				if err != nil {
					return err
				}
				what := "removed the traces of"
				if alive {
					what = "ended"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s lab %s (%v)\n", what, run.Token, run.Command)
			}
			return nil
		},
	}
}
