package doccheck

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Check reports why a program whose commands are root would not take a call. Flags keep what was parsed, so each call needs a new root.
func Check(root *cobra.Command, call Call) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(call.Args...)
	cmd, rest, err := root.Find(call.Args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); errors.As(err, new(*pflag.ValueRequiredError)) && !call.Whole {
		return nil
	} else if err != nil {
		return err
	}
	args := cmd.Flags().Args()
	if help, err := cmd.Flags().GetBool("help"); err == nil && help {
		return nil
	}
	switch {
	case !cmd.Runnable() && len(args) > 0:
		return fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
	case !call.Whole:
		return nil
	case !cmd.Runnable():
		return fmt.Errorf("%s does nothing by itself", cmd.CommandPath())
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	if err := cmd.ValidateFlagGroups(); err != nil {
		return err
	}
	return cmd.ValidateArgs(args)
}
