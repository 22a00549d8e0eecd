package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A run names the command that repeats it.
func TestChaosCommand(t *testing.T) {
	tests := map[string]chaosFlags{
		"hacluster-lab chaos --seed 7 --duration 3m0s":                            {seed: 7, duration: 3 * time.Minute, nodes: 3},
		"hacluster-lab chaos --seed 8 --reps 50 --only all-killed":                {seed: 8, reps: 50, duration: time.Minute, only: []string{"all-killed"}, nodes: 3},
		"hacluster-lab chaos --seed 9 --duration 1m0s --only a,b --nodes 5":       {seed: 9, duration: time.Minute, only: []string{"a", "b"}, nodes: 5},
		"hacluster-lab chaos --seed 18446744073709551615 --duration 1s --nodes 4": {seed: 1<<64 - 1, duration: time.Second, nodes: 4},
	}
	for want, flags := range tests {
		if got := flags.command(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestChaosMistakes(t *testing.T) {
	p := program{buildProgram(t), uint32(os.Getuid())}
	tests := map[string]struct {
		args []string
		want string
	}{
		"unknown kind":   {[]string{"chaos", "--only", "earthquake"}, `unknown kind of fault "earthquake": choose some of agent-kill,`},
		"too many nodes": {[]string{"chaos", "--nodes", "9"}, "9 nodes: choose 3 to 5"},
		"no evidence":    {[]string{"chaos", "--judge", "/nonexistent"}, "read run.json: open /nonexistent/run.json: no such file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := p.command(append(test.args, "--out", t.TempDir())...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
