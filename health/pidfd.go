package health

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openPIDFD returns a file that becomes readable when the process exits. The error is os.ErrProcessDone if it has.
func openPIDFD(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, os.ErrProcessDone
	case errors.Is(err, unix.ENOSYS):
		return nil, errors.New("open pidfd: not supported by this kernel; hacluster needs Linux 5.3 or newer")
	case err != nil:
		return nil, fmt.Errorf("open pidfd: %w", err)
	}
	// Non-blocking makes os.NewFile hand it to the runtime poller: waiting costs a goroutine, not a thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("set pidfd non-blocking: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("pidfd:%d", pid)), nil
}

// waitExit returns nil when the process of the pidfd has exited, or ctx's error. It closes the pidfd.
func waitExit(ctx context.Context, pidfd *os.File) error {
	defer pidfd.Close()
	// Closing wakes the wait below; the second Close does nothing.
	defer context.AfterFunc(ctx, func() { pidfd.Close() })()
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process exit: %w", err)
	}
	err = conn.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return err == nil && n == 1
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("wait for process exit: %w", err)
	}
	return nil
}
