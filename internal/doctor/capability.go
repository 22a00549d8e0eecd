package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unitFiles are where the unit of a package, and of an operator, is.
func unitFiles() []string {
	return []string{"/etc/systemd/system/hacluster.service", "/usr/lib/systemd/system/hacluster.service", "/lib/systemd/system/hacluster.service"}
}

// examineCapability looks at the running agent first: what this process may do says little about it.
func (f *facts) examineCapability(ctx context.Context) Finding {
	const need = "CAP_NET_RAW, for VRRP's raw socket"
	if f.cfg.File.Self().Witness && !f.cfg.File.Raft.Hints {
		return skip("a witness without hints needs none")
	}
	if pid, err := peerOf(ctx, f.cfg.File.Admin.Socket); err == nil {
		if has, err := hasNetRaw(strconv.Itoa(pid)); err == nil && has {
			return pass("the running agent (pid %d) has %s", pid, need)
		}
	}
	for _, unit := range unitFiles() {
		if grantsNetRaw(unit) {
			return pass("%s gives %s", unit, need)
		}
	}
	switch has, err := hasNetRaw("self"); {
	case err != nil:
		return skip("%v", err)
	case has:
		return pass("this user has %s", need)
	}
	remedy := "add AmbientCapabilities=CAP_NET_RAW to the unit, or run 'setcap cap_net_raw+ep' on the binary"
	if f.cfg.File.Self().Witness {
		return warn("neither this user nor a unit file has "+need+"; this witness will not hear adverts", remedy)
	}
	return fail("neither this user nor a unit file has "+need, remedy)
}

// hasNetRaw reads the effective capabilities (proc_pid_status(5), CapEff).
func hasNetRaw(pid string) (bool, error) {
	data, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	return parseNetRaw(string(data))
}

func parseNetRaw(status string) (bool, error) {
	for line := range strings.Lines(status) {
		if mask, ok := strings.CutPrefix(line, "CapEff:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if err != nil {
				return false, fmt.Errorf("read capabilities: %w", err)
			}
			return bits&(1<<unix.CAP_NET_RAW) != 0, nil
		}
	}
	return false, fmt.Errorf("read capabilities: no CapEff")
}

// grantsNetRaw reports whether a unit file gives the capability, or leaves the agent root (systemd.exec(5)).
func grantsNetRaw(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	root, bounded := true, false
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "AmbientCapabilities":
			if strings.Contains(value, "CAP_NET_RAW") {
				return true
			}
		case "User":
			root = value == "root" || value == "0"
		case "DynamicUser":
			root = root && value != "yes" && value != "true"
		case "CapabilityBoundingSet":
			bounded = !strings.Contains(value, "CAP_NET_RAW")
		}
	}
	return root && !bounded
}

// peerOf returns the pid of whoever listens at a unix socket (unix(7), SO_PEERCRED).
func peerOf(ctx context.Context, socket string) (int, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, os.NewSyscallError("getsockopt SO_PEERCRED", credErr)
	}
	return int(cred.Pid), nil
}
