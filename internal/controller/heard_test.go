package controller

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hacluster/hacluster/vrrpwire"
)

// earshot is the memory of a wire on which node-b was heard, and node-c was not.
type earshot struct{ memory }

func (earshot) Senders() []vrrpwire.Sender {
	return []vrrpwire.Sender{{Address: addrB, Peer: true, Adverts: 7, LastAt: time.Hour - 40*time.Millisecond}, {Address: addrC, Peer: true}}
}

// What a node hears is told to the others by address, with the age of the newest advert.
func TestHeard(t *testing.T) {
	d := wiredDriver(t, "node-b")
	ask := func() (h Heard) {
		t.Helper()
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, httptest.NewRequest("POST", HeardPath, nil))
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != 200 {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return h
	}
	if h := ask(); h.Listens || len(h.Adverts) > 0 {
		t.Errorf("without a wire: %+v", h)
	}
	d.SetMonitor(earshot{})
	h := ask()
	b, ok := h.From(addrB)
	if !h.Listens || !ok || b.Count != 7 || b.Age() != 40*time.Millisecond || b.Node != "node-b" {
		t.Errorf("of node-b %+v in %+v", b, h)
	}
	if _, ok := h.From(addrC); ok {
		t.Errorf("node-c was never heard: %+v", h)
	}
}
