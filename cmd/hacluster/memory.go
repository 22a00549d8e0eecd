package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hideMemory keeps what is in this process, AWS credentials and the private key of its certificate, out of core dumps, and from other
// processes of the same user, such as hooks (prctl(2), PR_SET_DUMPABLE). Root reads it all the same.
func hideMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep memory out of core dumps: %w", err)
	}
	return nil
}
