package hooks

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestLogOutput(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	many := strings.Repeat("line\n", maxLines)
	tests := []struct {
		name, output string
		want         []string // the lines; the last may be what was dropped
	}{
		{"nothing", "", nil},
		{"two lines", "one\ntwo\n", []string{"one", "two"}},
		{"without an end", "one\ntwo", []string{"one", "two"}},
		{"empty lines and carriage returns", "one\r\n\ntwo\n", []string{"one", "", "two"}},
		{"no line for a terminal", "a\x1b[31mb\x00\xffc\td\n", []string{"a [31mb ?c d"}},
		{"a long line", long + "yz\nend\n", []string{long, "yz", "end"}},
		{"too many lines", many + "and more\n", append(strings.Split(strings.TrimSpace(many), "\n"), "9 dropped")},
		{"as many lines as there may be", many, strings.Split(strings.TrimSpace(many), "\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			core, logs := observer.New(zapcore.DebugLevel)
			logOutput(strings.NewReader(tt.output), zap.New(core))
			var got []string
			for _, e := range logs.All() {
				if line, ok := e.ContextMap()["line"].(string); ok {
					got = append(got, line)
				} else {
					got = append(got, fmt.Sprint(e.ContextMap()["bytes_dropped"], " dropped"))
				}
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("logged %q, want %q", got, tt.want)
			}
		})
	}
}
