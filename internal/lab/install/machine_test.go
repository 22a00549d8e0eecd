package install

import (
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

const (
	roleMachine = "machine"
	systemd     = "/lib/systemd/systemd"
)

func TestMain(m *testing.M) {
	sandboxtest.Main(m, map[string]host.Role{roleMachine: boot, roleClient: probe.Client})
}

// boot makes this host a machine with a system of its own, which begins as a copy of the real one, and gives PID 1 to another program. Its
// arguments: where the copy's changes go, where those of an image went that come before, or "", a directory of cgroup2, the name, and the
// program with its arguments.
func boot(_ *os.File, args []string) error {
	disk, image, cgroup, name, program := args[0], args[1], args[2], args[3], args[4:]
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("enter the cgroup: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w", err)
	}
	root, err := overlay(disk, image)
	if err != nil {
		return err
	}
	if err := mountAPI(root); err != nil {
		return err
	}
	if err := settle(root, name); err != nil {
		return err
	}
	if err := enter(root); err != nil {
		return err
	}
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=hacluster-lab"}
	return fmt.Errorf("start %s: %w", program[0], unix.Exec(program[0], program, env))
}

// overlay lays the machine's own changes, and below them those of an image, over the real system.
func overlay(disk, image string) (string, error) {
	lower := "/"
	if image != "" {
		lower = image + "/upper:/"
	}
	root := filepath.Join(disk, "root")
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(disk, dir), 0o755); err != nil {
			return "", err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, disk, disk)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("mount the root: %w", err)
	}
	return root, nil
}

// mountAPI mounts what the container interface of systemd asks for (systemd.io/CONTAINER_INTERFACE): /sys read-only keeps udev and
// others of the hardware's from starting.
func mountAPI(root string) error {
	for _, m := range []struct {
		kind, at, options string
		flags             uintptr
	}{
		{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"sysfs", "/sys", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RDONLY},
		{"cgroup2", "/sys/fs/cgroup", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", "/run", "mode=0755", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", "/tmp", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", "/dev", "mode=0755", unix.MS_NOSUID},
	} {
		if err := unix.Mount(m.kind, root+m.at, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return makeDevices(root + "/dev")
}

func makeDevices(dev string) error {
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		if err := unix.Mknod(filepath.Join(dev, name), unix.S_IFCHR, int(unix.Mkdev(1, minor))); err != nil {
			return fmt.Errorf("make device %s: %w", name, err)
		}
		if err := os.Chmod(filepath.Join(dev, name), 0o666); err != nil {
			return err
		}
	}
	var errs []error
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "console": "null", "ptmx": "pts/ptmx",
	} {
		errs = append(errs, os.Symlink(target, filepath.Join(dev, name)))
	}
	errs = append(errs, os.Mkdir(filepath.Join(dev, "shm"), 0o1777), os.Mkdir(filepath.Join(dev, "pts"), 0o755))
	errs = append(errs, unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666"))
	return errors.Join(errs...)
}

// target is what the machine boots into: the basics, and none of what the real machine starts.
const target = `[Unit]
Requires=sysinit.target
After=sysinit.target
AllowIsolate=yes
`

// settle gives the machine its name and takes from it what belongs to the real one.
func settle(root, name string) error {
	hosts := "127.0.0.1 localhost\n10.0.0.11 lb-1\n10.0.0.12 lb-2\n10.0.0.13 lb-3\n"
	var errs []error
	for file, text := range map[string]string{
		"etc/hostname": name + "\n", "etc/hosts": hosts, "etc/fstab": "", "etc/machine-id": fmt.Sprintf("%x\n", md5.Sum([]byte(name))),
		"etc/systemd/system/machine.target": target,
	} {
		errs = append(errs, os.WriteFile(filepath.Join(root, file), []byte(text), 0o644))
	}
	// dpkg would have the index of all man pages made anew each time.
	if err := os.Remove(filepath.Join(root, "var/lib/man-db/auto-update")); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, unit := range []string{"systemd-timesyncd", "systemd-firstboot", "systemd-pstore", "systemd-sysctl", "systemd-modules-load"} {
		errs = append(errs, maskUnit(root, unit+".service"))
	}
	return errors.Join(errs...)
}

func maskUnit(root, unit string) error {
	link := filepath.Join(root, "etc/systemd/system", unit)
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink("/dev/null", link)
}

// enter makes root the root of this process and lets go of the real one.
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the real root: %w", err)
	}
	return os.Chdir("/")
}
