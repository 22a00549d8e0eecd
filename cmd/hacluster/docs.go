package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/manpage"
)

// docsCommand is for building packages.
func docsCommand() *cobra.Command {
	parent := &cobra.Command{Use: "docs", Short: "Write documentation from the code", Hidden: true, Example: "  hacluster docs man build/man"}
	parent.AddCommand(&cobra.Command{
		Use:     "man DIR",
		Short:   "Write a man page for each command into a directory",
		Example: "  hacluster docs man build/man",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := dateOfPages()
			if err != nil {
				return err
			}
			_, err = manpage.WriteTree(args[0], cmd.Root(), manpage.Header{Date: date, Version: version})
			return err
		},
	})
	return parent
}

// sourceDate says when the source was made (reproducible-builds.org/specs/source-date-epoch), so that the pages of one commit are the same
// on any day.
const sourceDate = "SOURCE_DATE_EPOCH"

// dateOfPages returns the zero time if nobody says.
func dateOfPages() (time.Time, error) {
	text := os.Getenv(sourceDate)
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s, which is seconds since 1970: %w", sourceDate, err)
	}
	return time.Unix(seconds, 0), nil
}
