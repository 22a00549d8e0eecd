package fsm

import (
	"go/build"
	"slices"
	"testing"
)

// TestValuesOnly holds the promise of doc.go: the state machine is the same on every replica because it cannot reach
// anything that differs between them.
func TestValuesOnly(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"bytes", "encoding/json", "errors", "fmt", "maps", "slices"}
	for _, path := range pkg.Imports {
		if !slices.Contains(allowed, path) {
			t.Errorf("fsm imports %s: no network, operating system, clock, goroutine or AWS here", path)
		}
	}
}
