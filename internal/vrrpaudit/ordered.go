package vrrpaudit

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
)

const (
	// lateness is how far behind a newer packet an older one may come in a file. What comes later means that the clock was set.
	lateness = time.Second
	// waitingRoom is how many packets can be overtaken.
	waitingRoom = 512
)

// ordered hands packets on in order of time.
type ordered struct {
	waiting []packets.Packet // in order of time
}

// push takes one packet, and gives those to next that no later packet can overtake any more.
func (o *ordered) push(p packets.Packet, next func(packets.Packet)) {
	if n := len(o.waiting); n > 0 && o.waiting[n-1].Time.Sub(p.Time) > lateness {
		o.flush(next)
	}
	at := len(o.waiting)
	for at > 0 && o.waiting[at-1].Time.After(p.Time) {
		at--
	}
	o.waiting = slices.Insert(o.waiting, at, p)
	if len(o.waiting) == 2*waitingRoom { // by halves, so that the rest is moved seldom
		for _, p := range o.waiting[:waitingRoom] {
			next(p)
		}
		o.waiting = slices.Delete(o.waiting, 0, waitingRoom)
	}
}

func (o *ordered) flush(next func(packets.Packet)) {
	for _, p := range o.waiting {
		next(p)
	}
	o.waiting = o.waiting[:0]
}
