package election

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestReason: what is left of an error for who has to do something about it.
func TestReason(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	write := &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: unknown certificate authority")}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{&CallError{Peer: "node-a", Status: 409, Message: "node-a knows better"}, "node-a knows better"},
		{dial, "connection refused"},
		{alert, "it refuses the certificate of this node (tls: unknown certificate authority), and its log says why"},
		{write, "it ended the connection; its log may say why: a certificate that it refuses, for example"},
		{context.DeadlineExceeded, "no answer"},
		{errors.New("something else"), "something else"},
	} {
		if got := Reason(fmt.Errorf("call /v1/admit of node-a: %w", tc.err)); got != tc.want && got != "call /v1/admit of node-a: "+tc.want {
			t.Errorf("Reason(%v) = %q, want %q", tc.err, got, tc.want)
		}
	}
}
