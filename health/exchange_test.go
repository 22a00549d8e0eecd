package health

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// page is an HAProxy that answers as it is told.
func page(t *testing.T) (url string, well *atomic.Bool) {
	t.Helper()
	well = &atomic.Bool{}
	well.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, well
}

func asking(url string) Config {
	return Config{HTTP: &HTTPConfig{URL: url, Status: []StatusRange{{Min: 200, Max: 200}},
		Probe: Probe{Interval: 5 * time.Millisecond, Timeout: 5 * time.Second, Rise: 2, Fall: 2}}}
}

// TestChecksAreReplacedWithoutAFalseVerdict: a healthy HAProxy stays healthy while its checks are replaced, whatever the new ones think
// of it; the new ones count once they agree.
func TestChecksAreReplacedWithoutAFalseVerdict(t *testing.T) {
	first, firstWell := page(t)
	second, secondWell := page(t)
	core, said := observer.New(zap.WarnLevel)
	x, err := NewExchange(asking(first), zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- x.Run(ctx) }()
	next := func(why string) Status {
		t.Helper()
		select {
		case s := <-x.Updates():
			return s
		case <-time.After(30 * time.Second):
			t.Fatalf("no news: %s", why)
			return Status{}
		}
	}
	if s := next("the first verdict"); !s.Healthy {
		t.Fatalf("at first: %+v", s)
	}

	if err := x.Replace(Config{}); err == nil || !x.Status().Healthy {
		t.Errorf("checks that check nothing: %v, %+v", err, x.Status())
	}

	secondWell.Store(false)
	if err := x.Replace(asking(second)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); said.FilterMessageSnippet("the old ones stay in use").Len() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody says that the new checks fail")
		}
		time.Sleep(time.Millisecond)
	}
	if len(x.Updates()) > 0 || !x.Status().Healthy {
		t.Errorf("new checks that fail were taken: %+v", x.Status())
	}
	secondWell.Store(true)
	if s := next("the new checks agree"); !s.Healthy {
		t.Errorf("after the exchange: %+v", s)
	}

	firstWell.Store(false) // nobody asks there any more
	secondWell.Store(false)
	if s := next("the new checks fail"); s.Healthy {
		t.Errorf("the new checks do not count: %+v", s)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if x.Status().Healthy {
		t.Error("healthy, though nobody looks")
	}
}
