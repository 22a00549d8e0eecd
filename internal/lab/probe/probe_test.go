package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// record reads the outcomes of requests 5 ms apart: '+' served, '-' failed.
func record(outcomes string) []Result {
	var results []Result
	for i, c := range outcomes {
		r := Result{Start: time.UnixMilli(int64(5 * i))}
		if c == '-' {
			r.Error = "timeout"
		}
		results = append(results, r)
	}
	return results
}

func TestOutages(t *testing.T) {
	type gap struct {
		Length time.Duration
		Failed int
	}
	const ms = time.Millisecond
	tests := map[string]struct {
		outcomes string
		want     []gap
	}{
		"none":                          {"++++++", nil},
		"no requests":                   {"", nil},
		"one request":                   {"++-+++", []gap{{5 * ms, 1}}},
		"four requests":                 {"+----+", []gap{{20 * ms, 4}}},
		"two outages":                   {"+--+-+", []gap{{10 * ms, 2}, {5 * ms, 1}}},
		"at the beginning":              {"--++++", []gap{{10 * ms, 2}}},
		"until the end of the watch":    {"+++---", []gap{{985 * ms, 3}}},
		"all":                           {"------", []gap{{1000 * ms, 6}}},
		"a success among many failures": {"---+---+", []gap{{15 * ms, 3}, {15 * ms, 3}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []gap
			for _, o := range Outages(record(test.outcomes)) {
				got = append(got, gap{o.Length(time.UnixMilli(1000)), o.Failed})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A request that timed out is reported long after later ones that were served.
func TestOutagesSortsByStart(t *testing.T) {
	results := record("+-+")
	results[1], results[2] = results[2], results[1]
	outages := Outages(results)
	if len(outages) != 1 || outages[0].Length(time.Time{}) != 5*time.Millisecond {
		t.Errorf("outages: %v", outages)
	}
}

func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	tests := map[string]struct {
		serve     http.HandlerFunc
		node, err string
	}{
		"served": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(NodeHeader, "node-a") }, "node-a", ""},
		"server error": {
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
			"", "answered 503 Service Unavailable",
		},
		"cut": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "unexpected EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.serve)
			defer server.Close()
			for _, r := range runFor(t, 100*time.Millisecond, strings.TrimPrefix(server.URL, "http://")) {
				if r.Node != test.node || r.Error != test.err || !r.Connected {
					t.Fatalf("result: %+v", r)
				}
			}
		})
	}
}

// A server that hangs does not keep the client from asking others: requests go on every 5 ms.
func TestRunDoesNotWait(t *testing.T) {
	defer goleak.VerifyNone(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	results := runFor(t, Timeout+2*time.Second, silent.Addr().String())
	for _, r := range results {
		if r.OK() || !r.Connected || r.Took < Timeout {
			t.Fatalf("a request to a silent server: %+v", r)
		}
	}
	if len(results) < 10 {
		t.Errorf("only %d requests in 2 s", len(results))
	}
}

// runFor runs again if there are no results: a busy machine may stand still for d.
func runFor(t *testing.T, d time.Duration, target string) []Result {
	t.Helper()
	for range 5 {
		if results := runOnce(t, d, target); len(results) > 0 {
			return results
		}
	}
	t.Fatal("no results")
	return nil
}

func runOnce(t *testing.T, d time.Duration, target string) (results []Result) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(d, cancel).Stop()
	var out bytes.Buffer
	if err := Run(ctx, target, &out); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(&out); dec.More(); {
		var r Result
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func TestLogClean(t *testing.T) {
	const window = 100 * time.Millisecond
	now := time.Now()
	at := func(ago time.Duration, err string) Result { return Result{Start: now.Add(-ago), Error: err} }
	var steady []Result
	for i := range 40 {
		steady = append(steady, at(time.Duration(200-5*i)*time.Millisecond, ""))
	}
	tests := map[string]struct {
		results []Result
		want    bool
	}{
		"served":                     {steady, true},
		"nothing known":              {nil, false},
		"served too long ago":        {steady[:20], false},
		"a recent failure":           {append(steady[:30:30], at(50*time.Millisecond, "timeout")), false},
		"a failure before the start": {append([]Result{at(150*time.Millisecond, "timeout")}, steady[20:]...), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var l Log
			for _, r := range test.results {
				l.add(r)
			}
			if got := l.Clean(window); got != test.want {
				t.Errorf("clean: %t", got)
			}
		})
	}
}
