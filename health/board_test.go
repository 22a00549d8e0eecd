package health

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// TestRiseAndFall feeds one check with results, + for a success and - for a failure, and draws its health after each:
// H for healthy, . for not.
func TestRiseAndFall(t *testing.T) {
	tests := []struct {
		name       string
		rise, fall int
		results    string
		want       string
	}{
		{"starts unhealthy and rises", 2, 2, "+++", ".HH"},
		{"a failure in between starts the count anew", 3, 1, "++-+++", ".....H"},
		{"one failure is not enough", 1, 2, "+-+-+", "HHHHH"},
		{"falls after fall failures in a row", 1, 3, "+---", "HHH."},
		{"rises again", 2, 2, "++--++", ".HH..H"},
		{"at once in both directions", 1, 1, "+-+-", "H.H."},
		{"never rises", 1, 1, "---", "..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(zap.NewNop())
			check := b.add("http", "has not passed yet", tt.rise, tt.fall)
			var got strings.Builder
			for _, result := range tt.results {
				var err error
				if result == '-' {
					err = errors.New("timed out after 1s")
				}
				b.probed(check, b.currentLife(), "answered 200", err)
				if b.newest.Load().Healthy {
					got.WriteByte('H')
				} else {
					got.WriteByte('.')
				}
			}
			if got.String() != tt.want {
				t.Errorf("results %s gave %s, want %s", tt.results, got.String(), tt.want)
			}
		})
	}
}

// transcript writes down the reason after each step, and which steps were published.
type transcript struct {
	board *board
	lines []string
}

func (tr *transcript) step(what string) {
	line := what + ": " + tr.board.newest.Load().Reason
	select {
	case s := <-tr.board.updates:
		line += " [published: " + s.Reason + "]"
	default:
	}
	tr.lines = append(tr.lines, line)
}

// TestReasonNamesTheRoot: when HAProxy dies the probes fail too, but that is only what follows. They have to rise anew
// with the next HAProxy, and a success that was begun with the dead one does not count.
func TestReasonNamesTheRoot(t *testing.T) {
	b := newBoard(zap.NewNop())
	process := b.add(checkProcess, "haproxy process has not been looked for yet", 1, 1)
	http := b.add(checkHTTP, "has not passed yet", 2, 2)
	tr := &transcript{board: b}
	refused := errors.New("failed: connection refused")

	tr.step("start")
	b.probed(http, b.currentLife(), "answered 200", nil)
	tr.step("http passes")
	b.found(process, "haproxy master process 1")
	tr.step("process found")
	b.probed(http, b.currentLife(), "answered 200", nil)
	tr.step("http passes again")
	b.found(process, "haproxy master process 1, worker 3")
	tr.step("process found with another worker")
	old := b.currentLife()
	b.lost(process, "haproxy master process 1 exited")
	tr.step("process lost")
	b.probed(http, old, "answered 200", nil)
	tr.step("http passed before the exit")
	b.found(process, "haproxy master process 9")
	tr.step("another process found")
	b.probed(http, b.currentLife(), "answered 200", nil)
	tr.step("http passes")
	b.probed(http, b.currentLife(), "answered 200", nil)
	tr.step("http passes again")
	b.probed(http, b.currentLife(), "", refused)
	tr.step("http fails")
	b.lost(process, "haproxy master process 9 exited")
	tr.step("process lost")
	b.probed(http, b.currentLife(), "", refused)
	tr.step("http fails again")

	want := []string{
		"start: haproxy process has not been looked for yet",
		"http passes: haproxy process has not been looked for yet",
		"process found: http check has passed 1 of 2 times",
		"http passes again: all checks pass [published: all checks pass]",
		"process found with another worker: all checks pass",
		"process lost: haproxy master process 1 exited [published: haproxy master process 1 exited]",
		"http passed before the exit: haproxy master process 1 exited",
		"another process found: http check has not passed since haproxy master process 1 exited [published: http check has not passed since haproxy master process 1 exited]",
		"http passes: http check has passed 1 of 2 times",
		"http passes again: all checks pass [published: all checks pass]",
		"http fails: all checks pass",
		"process lost: haproxy master process 9 exited [published: haproxy master process 9 exited]",
		"http fails again: haproxy master process 9 exited",
	}
	if diff := cmp.Diff(want, tr.lines); diff != "" {
		t.Errorf("transcript (-want +got):\n%s", diff)
	}
}

// TestFirstResultsAreWaitedFor: a node is not at fault because its checks have only begun; but what is certain is said at once.
func TestFirstResultsAreWaitedFor(t *testing.T) {
	tests := []struct {
		name  string
		steps func(b *board, process, http int)
		want  string // published in the end
	}{
		{"the process is there, http has not answered yet", func(b *board, process, _ int) { b.found(process, "haproxy process 1") }, ""},
		{"http passes once of twice", func(b *board, process, http int) {
			b.found(process, "haproxy process 1")
			b.probed(http, 0, "answered 200", nil)
		}, ""},
		{"http passes twice", func(b *board, process, http int) {
			b.found(process, "haproxy process 1")
			b.probed(http, 0, "answered 200", nil)
			b.probed(http, 0, "answered 200", nil)
		}, "all checks pass"},
		{"there is no process", func(b *board, process, _ int) { b.lost(process, "no haproxy process found") }, "no haproxy process found"},
		{"http fails twice", func(b *board, _, http int) {
			b.probed(http, 0, "", errors.New("timed out"))
			b.probed(http, 0, "", errors.New("timed out"))
		}, "http check timed out (2 of 2)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(zap.NewNop())
			process, http := b.add(checkProcess, "haproxy process has not been looked for yet", 1, 1), b.add(checkHTTP, "has not passed yet", 2, 2)
			tt.steps(b, process, http)
			got := ""
			select {
			case s := <-b.updates:
				got = s.Reason
			default:
			}
			if got != tt.want {
				t.Errorf("published %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLateReaderGetsTheNewest: the slot holds one status and the latest wins.
func TestLateReaderGetsTheNewest(t *testing.T) {
	b := newBoard(zap.NewNop())
	check := b.add(checkTCP, "has not passed yet", 1, 1)
	b.probed(check, 0, "accepted a connection", nil)
	b.probed(check, 0, "", errors.New("failed: reset"))
	if s := <-b.updates; s.Healthy || s.Reason != "tcp check failed: reset (1 of 1)" {
		t.Errorf("update = %+v, want the failure that came last", s)
	}
	select {
	case s := <-b.updates:
		t.Errorf("a second update, %+v, was kept", s)
	default:
	}
}

// TestPublishedStatusNeverChanges: a Status is handed out, so what comes later must not write into it.
func TestPublishedStatusNeverChanges(t *testing.T) {
	b := newBoard(zap.NewNop())
	check := b.add(checkTCP, "has not passed yet", 1, 1)
	b.probed(check, 0, "accepted a connection", nil)
	s := *b.newest.Load()
	b.probed(check, 0, "", errors.New("failed: reset"))
	if !s.Healthy || !s.Checks[0].Healthy || s.Checks[0].Detail != "accepted a connection" {
		t.Errorf("an earlier status became %+v", s)
	}
}
