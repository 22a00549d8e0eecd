package config

import (
	"fmt"
	"os"
)

// checkMode refuses a file that everybody may write to: it says what is run, and where requests to EC2 go. What is no file, a
// pipe for example, has no say.
func checkMode(f *os.File) error {
	const otherWrite = 0o002
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at configuration: %w", err)
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&otherWrite != 0 {
		return fmt.Errorf("configuration %s has mode %04o, so everybody could change what is run, and where requests to EC2 go: "+
			"run 'chmod o-w %s'", f.Name(), mode, f.Name())
	}
	return nil
}
