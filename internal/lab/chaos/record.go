package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

// recorder writes the lab's own evidence, one JSON value a line. It is safe for concurrent use.
type recorder struct {
	mu    sync.Mutex
	files map[string]*os.File
}

func newRecorder(dir string) (*recorder, error) {
	r := &recorder{files: make(map[string]*os.File)}
	for _, name := range []string{judge.FaultsFile, judge.AbsencesFile, judge.StallsFile, judge.SightingsFile, judge.SettlesFile} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("create evidence: %w", err), r.close())
		}
		r.files[name] = file
	}
	return r, nil
}

func (r *recorder) fault(f judge.Fault) error       { return r.write(judge.FaultsFile, f) }
func (r *recorder) absence(a judge.Absence) error   { return r.write(judge.AbsencesFile, a) }
func (r *recorder) stall(s judge.Span) error        { return r.write(judge.StallsFile, s) }
func (r *recorder) sighting(s judge.Sighting) error { return r.write(judge.SightingsFile, s) }
func (r *recorder) settle(s judge.Settle) error     { return r.write(judge.SettlesFile, s) }

func (r *recorder) write(name string, value any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := json.NewEncoder(r.files[name]).Encode(value); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (r *recorder) close() error {
	var errs []error
	for _, file := range r.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
