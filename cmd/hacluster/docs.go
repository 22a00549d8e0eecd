package main

import (
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/manpage"
)

// docsCommand is for building packages.
func docsCommand() *cobra.Command {
	parent := &cobra.Command{Use: "docs", Short: "Write documentation from the code", Hidden: true}
	parent.AddCommand(&cobra.Command{
		Use:     "man DIR",
		Short:   "Write a man page for each command into a directory",
		Example: "  hacluster docs man build/man",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := manpage.WriteTree(args[0], cmd.Root(), manpage.Header{Date: commitTime(), Version: version})
			return err
		},
	})
	return parent
}

// commitTime is the date on the pages, so that a build of the same commit writes the same pages on any day.
func commitTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			at, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return at
			}
		}
	}
	return time.Time{}
}
