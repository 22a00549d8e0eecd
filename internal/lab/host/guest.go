package host

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lineFD is the file descriptor of the line to the lab in PID 1 (the first of exec.Cmd.ExtraFiles).
const lineFD = 3

// Role is what a host does as PID 1. It returns when the line to the lab is closed.
type Role func(line *os.File, args []string) error

// Main is the program of PID 1: it gives the host its name, /proc and /run, and runs the role. Its arguments are those
// after Command; it returns the exit status.
func Main(args []string, roles map[string]Role) int {
	if err := guest(args, roles); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func guest(args []string, roles map[string]Role) error {
	if len(args) < 2 || os.Getpid() != 1 {
		return fmt.Errorf("%s is started by the lab, not by people", Command)
	}
	name, role := args[0], roles[args[1]]
	if role == nil {
		return fmt.Errorf("host %s: unknown role %q", name, args[1])
	}
	if err := furnish(name); err != nil {
		return fmt.Errorf("host %s: %w", name, err)
	}
	unix.CloseOnExec(lineFD)
	line := os.NewFile(lineFD, "lab")
	defer line.Close()
	return role(line, args[2:])
}

// furnish gives the host its name and file systems. Everything else is the real machine's, read as it is.
func furnish(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64m"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return nil
}
