package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzParse: no bytes make Parse panic; an error is always Errors with a line; and what is accepted is complete, and is accepted
// again, with every default written out, as the same configuration.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse("c.yaml", data, "", host)
		if err != nil {
			checkProblems(t, err)
			return
		}
		if c.Self().Name == "" || len(c.Peers()) < minNodes-1 {
			t.Errorf("accepted without self or peers: %+v", c)
		}
		written := write(t, c)
		again, err := parse("c.yaml", written, "", "another-host")
		if err != nil {
			t.Fatalf("what was accepted is refused:\n%v\n%s", err, written)
		}
		addresses := cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})
		if d := cmp.Diff(c, again, addresses, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("written and read again:\n%s", d)
		}
	})
}

func checkProblems(t *testing.T, err error) {
	t.Helper()
	var problems Errors
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("error is a %T, want Errors", err)
	}
	for _, p := range problems {
		if p.Line < 1 || p.What == "" {
			t.Errorf("problem without a line or a text: %+v", p)
		}
	}
}

// write is the file that says all of c. A section that is off has no line.
func write(t *testing.T, c Config) []byte {
	t.Helper()
	text, err := yaml.MarshalWithOptions(c, yaml.CustomMarshaler(func(r StatusRange) ([]byte, error) {
		return fmt.Appendf(nil, `"%d-%d"`, r.Min, r.Max), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^ *\w+: null\n`).ReplaceAll(text, nil)
}
