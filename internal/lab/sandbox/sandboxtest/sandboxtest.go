// Package sandboxtest runs the tests of a package inside the lab's sandbox, where they are root and can do no harm.
package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox"
)

// Main is a TestMain: it runs the test program again inside a sandbox, and there the tests; it also is the program of the
// hosts that the tests start. Where namespaces are not permitted it runs the tests as they are; see Need.
func Main(m *testing.M, roles map[string]host.Role) {
	if len(os.Args) > 1 && os.Args[1] == host.Command {
		os.Exit(host.Main(os.Args[2:], roles))
	}
	if sandbox.Inside() {
		if err := sandbox.Furnish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	status, err := sandbox.Enter(context.Background(), os.Stderr)
	if errors.Is(err, sandbox.ErrNotPermitted) {
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(status)
}

// Need skips a test that must run in the sandbox and does not. In CI that is a failure: a check that nobody runs is none.
func Need(t *testing.T) {
	t.Helper()
	if sandbox.Inside() {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(sandbox.ErrNotPermitted)
	}
	t.Skipf("NOT TESTED: %v", sandbox.ErrNotPermitted)
}
