// hacluster-lab breaks a cluster of three real nodes, on one machine and without AWS, and measures what clients notice.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == host.Command {
		os.Exit(host.Main(os.Args[2:], lab.Roles()))
	}
	os.Exit(run())
}

func run() int {
	ctx := context.Background()
	if sandbox.Inside() { // outside, the sandbox handles signals
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	err := root().ExecuteContext(ctx)
	var status exitStatus
	switch {
	case errors.As(err, &status):
		return int(status)
	case ctx.Err() != nil:
		return sandbox.ExitInterrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, "hacluster-lab:", err)
		return 1
	}
	return 0
}

// exitStatus is an error that has been told already and only decides how the process ends.
type exitStatus int

// Error tells the status.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hacluster-lab",
		Short: "Break a cluster of three real nodes on this machine and measure what clients notice",
		Long: `Break a cluster of three real nodes on this machine and measure what clients notice.

The lab runs in namespaces of its own: as root, or as any user who may make user namespaces. It needs HAProxy and
nftables (apt-get install haproxy nftables), changes nothing on the machine, and leaves nothing behind.`,
		Example:       "  hacluster-lab demo\n  hacluster-lab run --fault node-death --reps 10",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(runCommand(), demoCommand(), upCommand(), execCommand(), downCommand(), chaosCommand(), benchCommand(), costsCommand(), fleetCommand(), lifeCommand())
	return cmd
}

// inside wraps a command so that it runs in the sandbox: outside, it starts itself again inside and waits.
func inside(command func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if !sandbox.Inside() {
			status, err := sandbox.Enter(cmd.Context(), cmd.ErrOrStderr())
			if err == nil && status != 0 {
				err = exitStatus(status)
			}
			return err
		}
		if err := sandbox.Furnish(); err != nil {
			return err
		}
		return command(cmd)
	}
}

// common are the flags of every command that brings a lab up.
type common struct {
	hacluster string
	keep      string
}

func (c *common) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.hacluster, "hacluster", besideMe("hacluster"), "the program under test")
	cmd.Flags().StringVar(&c.keep, "keep", "", "keep logs, captures and the nodes' disks in this directory (default: only after a failure)")
}

// options returns the lab's options; progress is told each step.
func (c *common) options(progress func(string)) (lab.Options, error) {
	opts := lab.Options{Dir: c.keep, Progress: progress}
	if opts.Dir == "" {
		opts.Dir = sandbox.Scratch()
	}
	var err error
	opts.Hacluster, err = filepath.Abs(c.hacluster)
	return opts, err
}

// besideMe returns the path of another program in this program's directory.
func besideMe(name string) string {
	me, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(me), name)
}
