package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/fsm"
)

// Both are set with -ldflags -X. Without revision the commit is what the go command noted, if it could: it does not in a linked work tree.
var (
	version  = "dev"
	revision = ""
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the level it knows (docs/UPGRADE.md), the commit and the Go release it was built with",
		Example: "  hacluster version",
		Args:    cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "hacluster %s (level %d, commit %s, %s, %s/%s)\n", version, fsm.Newest, commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

func commit() string {
	if revision != "" {
		return revision
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "unknown"
}
