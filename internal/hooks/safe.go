package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxSymlinks     = 40  // as path_resolution(7)
	maxInterpreters = 4   // scripts that are interpreted by scripts, as execve(2)
	firstLine       = 256 // how much of a script the kernel looks at for its interpreter
	groupWrite      = 0o020
	otherWrite      = 0o002
)

// CheckProgram says why the program must not be run as this user, and what to do about it. Whoever can write to the file, or to a
// directory on the way to it or to its interpreter, decides what is run: that may only be root, or the user that the agent runs as.
func CheckProgram(path string) error { return checkNested(path, maxInterpreters) }

func checkNested(path string, depth int) error {
	file, err := checkWay(path)
	if err != nil {
		return err
	}
	if err := unix.Access(file, unix.X_OK); err != nil {
		return fmt.Errorf("%s is not executable (%w); run 'chmod +x %s'", file, err, file)
	}
	interpreter, err := interpreterOf(file)
	if err != nil || interpreter == "" {
		return err
	}
	if depth == 0 {
		return fmt.Errorf("%s is interpreted by a script, and that by another, too often; name a program in its first line", file)
	}
	if err := checkNested(interpreter, depth-1); err != nil {
		return fmt.Errorf("interpreter of %s: %w", file, err)
	}
	return nil
}

// checkWay follows the path as the kernel does, checks each part, and returns the file at its end, free of symbolic links.
func checkWay(path string) (file string, err error) {
	var info fs.FileInfo
	links := 0
	at, rest := "/", strings.Split(path, "/")
	for len(rest) > 0 {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		if info, err = checkPart(next); err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", fmt.Errorf("follow symbolic link: %w", err)
		}
		if links++; links > maxSymlinks {
			return "", fmt.Errorf("%s leads nowhere, by symbolic links in a circle; name the file itself", path)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file; name the program", at)
	}
	return at, nil
}

// checkPart looks at one file or directory. A symbolic link is as safe as the directory that it stands in.
func checkPart(part string) (fs.FileInfo, error) {
	info, err := os.Lstat(part)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist; create it, or correct the path", part)
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", part, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return info, nil
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	mode := info.Mode().Perm()
	switch {
	case owner != 0 && owner != os.Geteuid():
		return nil, fmt.Errorf("%s belongs to user %d, who could change what is run; run 'chown root %s'", part, owner, part)
	case info.Mode()&fs.ModeSticky != 0 && mode&(groupWrite|otherWrite) != 0:
		return nil, fmt.Errorf("%s is writable by others; move the program, for example to /etc/hacluster", part)
	case mode&otherWrite != 0:
		return nil, fmt.Errorf("%s is writable by others; run 'chmod o-w %s'", part, part)
	case mode&groupWrite != 0:
		return nil, fmt.Errorf("%s is writable by its group; run 'chmod g-w %s'", part, part)
	}
	return info, nil
}

// interpreterOf returns what the first line of a script names, or nothing for a program that needs no interpreter.
func interpreterOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read program: %w", err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, firstLine))
	if err != nil {
		return "", fmt.Errorf("read program: %w", err)
	}
	if bytes.HasPrefix(head, []byte("\x7fELF")) {
		return "", nil
	}
	line, found := bytes.CutPrefix(head, []byte("#!"))
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.Fields(string(line))
	switch {
	case !found || len(words) == 0:
		return "", fmt.Errorf("%s does not say how to run it; write '#!/bin/sh' as its first line", file)
	case bytes.HasSuffix(line, []byte("\r")):
		return "", fmt.Errorf(`%s has lines that end as in Windows; run "sed -i 's/\r$//' %s"`, file, file)
	case !filepath.IsAbs(words[0]):
		return "", fmt.Errorf("%s names an interpreter that is no absolute path, %s; write '#!/bin/sh'", file, words[0])
	}
	return words[0], nil
}
