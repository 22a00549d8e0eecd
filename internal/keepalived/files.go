package keepalived

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFileSize bounds one file; a configuration with hundreds of instances has some hundred kilobytes.
const maxFileSize = 1 << 20

// Files is where configurations and scripts are read from. Names are paths of the operating system.
type Files interface {
	// ReadFile returns the content of a regular file.
	ReadFile(name string) ([]byte, error)
	// Glob returns the names that match a pattern, as filepath.Glob.
	Glob(pattern string) ([]string, error)
}

// Disk is the file system of this machine.
type Disk struct{}

// ReadFile returns the content of a regular file of at most 1 MiB.
func (Disk) ReadFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // else the open of a pipe waits for its writer
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("read %s: larger than 1 MiB", name)
	}
	return data, nil
}

// Glob is filepath.Glob.
func (Disk) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// Position is a line of a file, and the line of the including file that led there.
type Position struct {
	File     string
	Line     int       // from 1; 0: the whole file
	Included *Position // nil in the file that was named on the command line
}

// String returns "file:line", or "file".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// depth is how many lines led here.
func (p Position) depth() int {
	depth := 0
	for up := p.Included; up != nil; up = up.Included {
		depth++
	}
	return depth
}

// Chain returns "file:line, from file:line, ..." out to the first file.
func (p Position) Chain() string {
	var b strings.Builder
	b.WriteString(p.String())
	for up := p.Included; up != nil; up = up.Included {
		b.WriteString(", from " + up.String())
	}
	return b.String()
}

// Error is a line that cannot be read.
type Error struct {
	At          Position
	What        string
	Unsupported bool // keepalived reads it, this package does not
}

// Error returns "file:line, from file:line: what".
func (e *Error) Error() string { return e.At.Chain() + ": " + e.What }
