package main

import (
	"fmt"
	"io"
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

// build is what 'hacluster version' says in JSON.
type build struct {
	Version string `json:"version"`
	Level   uint8  `json:"level"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func versionCommand() *cobra.Command {
	var output *format
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the level it knows (docs/UPGRADE.md), the commit and the Go release it was built with",
		Example: "  hacluster version\n  hacluster version -o json | jq .level",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build{Version: version, Level: uint8(fsm.Newest), Commit: commit(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
			return output.write(cmd.OutOrStdout(), b, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "hacluster %s (level %d, commit %s, %s, %s/%s)\n", b.Version, b.Level, b.Commit, b.Go, b.OS, b.Arch)
				return err
			})
		},
	}
	output = addFormat(cmd, "text")
	return cmd
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
