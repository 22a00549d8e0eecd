package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// report is what hacluster doctor -o json prints.
type report struct {
	Findings []finding `json:"findings"`
	status   int       // of the process
}

type finding struct {
	Check  string `json:"check"`
	About  string `json:"about"`
	Status string `json:"status"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

func (f finding) String() string {
	return fmt.Sprintf("%s %s %s: %s -> %s", f.Status, f.Check, f.About, f.Text, f.Remedy)
}

// line is the finding of a check that is the most serious.
func (r report) line(check string) string {
	for _, status := range []string{"fail", "warn", "skip", "pass"} {
		for _, f := range r.Findings {
			if f.Check == check && f.Status == status {
				return f.String()
			}
		}
	}
	return "nothing about " + check
}

// has returns an error unless there is such a finding.
func (r report) has(check, about, status, text string) error {
	var others []string
	for _, f := range r.Findings {
		if f.Check != check || f.About != about {
			continue
		}
		if f.Status == status && strings.Contains(f.Text, text) {
			return nil
		}
		others = append(others, f.String())
	}
	return fmt.Errorf("%s %s: no %s with %q; there is %q", check, about, status, text, others)
}

// onlyWarns returns an error if anything failed, or if there is a warning that is neither expected (a part of its text, by check) nor
// about this machine.
func (r report) onlyWarns(expected map[string]string) error {
	var errs []error
	if len(r.Findings) == 0 {
		errs = append(errs, errors.New("no findings"))
	}
	for _, f := range r.Findings {
		text, known := expected[f.Check]
		switch {
		case f.Status == "fail":
			errs = append(errs, errors.New(f.String()))
		case f.Status == "warn" && (!known || !strings.Contains(f.Text, text)) && !slices.Contains(environmental, f.Check):
			errs = append(errs, errors.New(f.String()))
		}
	}
	return errors.Join(errs...)
}

// isAbout returns an error unless the ailment is found, and no other check failed.
func (r report) isAbout(a ailment) error {
	err := r.has(a.check, a.about, a.severity(), a.says)
	for _, f := range r.Findings {
		switch {
		case f.Check == a.check && f.About == a.about && f.Status == a.severity() && f.Remedy == "":
			err = errors.Join(err, fmt.Errorf("no remedy: %v", f))
		case f.Check != a.check && f.Status == "fail":
			err = errors.Join(err, fmt.Errorf("failed as well: %v", f))
		}
	}
	want := 1
	if a.severity() != "fail" {
		want = 0
	}
	if r.status != want {
		err = errors.Join(err, fmt.Errorf("exit status %d, want %d", r.status, want))
	}
	return err
}
