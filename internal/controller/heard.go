package controller

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// HeardPath is where a node tells the others what it hears of them on the wire, which no node can know of itself. It changes nothing.
const HeardPath = "/v1/heard"

// Heard is the answer.
type Heard struct {
	// State is the node's own; a Master advertises, and nobody else does.
	State State `json:"state"`
	// Listens: the node has a VRRP socket. A witness without hints has none.
	Listens bool           `json:"listens"`
	Adverts []HeardAdverts `json:"adverts,omitempty"`
}

// HeardAdverts is what was heard from one address since the node's agent started.
type HeardAdverts struct {
	From  netip.Addr   `json:"from"`
	Node  fsm.NodeName `json:"node,omitempty"`
	Count uint64       `json:"count"`
	// AgeMS is that of the newest one.
	AgeMS int64 `json:"age_ms"`
}

// Age is that of the newest advert.
func (h HeardAdverts) Age() time.Duration { return time.Duration(h.AgeMS) * time.Millisecond }

// From returns what was heard from an address; false if that is nothing.
func (h Heard) From(address netip.Addr) (HeardAdverts, bool) {
	for _, a := range h.Adverts {
		if a.From == address {
			return a, true
		}
	}
	return HeardAdverts{}, false
}

func (d *Driver) serveHeard(w http.ResponseWriter, _ *http.Request) { write(w, d.listenReport()) }

func (d *Driver) listenReport() Heard {
	h := Heard{State: d.View().State}
	t := d.Traffic()
	if t == nil {
		return h
	}
	h.Listens = true
	for _, s := range t.Senders {
		if s.Adverts > 0 {
			h.Adverts = append(h.Adverts, HeardAdverts{From: s.Address, Node: s.Node, Count: s.Adverts, AgeMS: (t.Now - s.LastAt).Milliseconds()})
		}
	}
	return h
}
