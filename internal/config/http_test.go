package config

import (
	"slices"
	"strings"
	"testing"
)

// TestHTTP: where the pages are, and what is said about that.
func TestHTTP(t *testing.T) {
	base := strings.Replace(readExample(t), "  listen: 127.0.0.1:7460", "  listen: LISTEN", 1)
	const open = "whoever reaches"
	tests := []struct{ listen, problem, warning string }{
		{listen: "127.0.0.1:7460"},
		{listen: `"[::1]:7460"`},
		{listen: `""`},
		{listen: "0.0.0.0:7460", warning: open},
		{listen: "10.0.1.11:7460", warning: open},
		{listen: "127.0.0.1:0", problem: "port 0"},
		{listen: "localhost:7460", problem: "not an IP address with a port"},
		{listen: "7460", problem: "not an IP address with a port"},
	}
	for _, tt := range tests {
		c, err := parse(example, []byte(strings.Replace(base, "LISTEN", tt.listen, 1)), "", host)
		switch {
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
			t.Errorf("%s: %v, want %q", tt.listen, err, tt.problem)
		case tt.problem == "" && err != nil:
			t.Errorf("%s: %v", tt.listen, err)
		}
		warned := slices.ContainsFunc(c.Warnings(), func(w string) bool { return strings.Contains(w, open) })
		if tt.problem == "" && warned != (tt.warning != "") {
			t.Errorf("%s: warnings %q", tt.listen, c.Warnings())
		}
	}
}
