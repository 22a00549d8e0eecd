package health

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const otherWrite = 0o002

// checkAnswerer refuses an answer of anybody: in a directory where everybody may write, everybody can listen at the path of HAProxy's
// socket once HAProxy is gone, and say that all is well.
func checkAnswerer(conn net.Conn, socket string) error {
	dir := filepath.Dir(socket)
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the directory of the stats socket: %w", err)
	}
	if info.Mode().Perm()&otherWrite == 0 {
		return nil
	}
	uid, err := listener(conn)
	if err != nil {
		return fmt.Errorf("find out who listens at the stats socket: %w", err)
	}
	if isPerson(uid) {
		return fmt.Errorf("user %d listens at the stats socket, in %s, where everybody may write: have HAProxy put it into /run/haproxy", uid, dir)
	}
	return nil
}

// listener returns the user that called listen(2) (unix(7), SO_PEERCRED).
func listener(conn net.Conn) (uid int, err error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var optErr error
	err = raw.Control(func(fd uintptr) {
		credentials, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return 0, err
	}
	if optErr != nil {
		return 0, os.NewSyscallError("getsockopt SO_PEERCRED", optErr)
	}
	return int(credentials.Uid), nil
}
