package metrics

import (
	"cmp"

	"github.com/hacluster/hacluster/vrrpwire"
)

// ofWire reads one of the wire's counters. A node without a wire has none.
func ofWire(of func(vrrpwire.Stats) uint64) func(*snapshot, put) {
	return func(s *snapshot, put put) {
		if s.traffic != nil {
			put(float64(of(s.traffic.Stats)))
		}
	}
}

func sendingFamilies() []family {
	return []family{
		{nameSent, counter, nil, "Adverts sent with this node's priority; each counts once, however many peers it goes to.",
			ofWire(func(s vrrpwire.Stats) uint64 { return s.Sent })},
		{nameZeroSent, counter, nil, "Adverts sent with priority 0: the end of a reign.", ofWire(func(s vrrpwire.Stats) uint64 { return s.PriorityZeroSent })},
		{nameSuppressed, counter, nil, "Adverts given up: there was no fresh proof of a quorum, or no peer could be sent to.",
			ofWire(func(s vrrpwire.Stats) uint64 { return s.Suppressed })},
		{nameSendErrors, counter, nil, "Packets to one peer that could not be sent.", ofWire(func(s vrrpwire.Stats) uint64 { return s.SendErrors })},
		{nameUnresolved, counter, nil, "Packets to one peer that were not sent because its hardware address was not known.",
			ofWire(func(s vrrpwire.Stats) uint64 { return s.Unresolved })},
		{nameReigns, counter, nil, "How often this node began to advertise.", ofWire(func(s vrrpwire.Stats) uint64 { return s.BecomeMaster })},
	}
}

func hearingFamilies() []family {
	return []family{
		{nameReceived, counter, nil, "Adverts of peers that were accepted.", ofWire(func(s vrrpwire.Stats) uint64 { return s.Received })},
		{nameZeroReceived, counter, nil, "Of these, with priority 0.", ofWire(func(s vrrpwire.Stats) uint64 { return s.PriorityZeroReceived })},
		{nameHeardDropped, counter, nil, "Of these, lost because this node was too slow to look at them.", ofWire(func(s vrrpwire.Stats) uint64 { return s.HeardDropped })},
		{nameHeard, counter, []string{labelPeer}, "Adverts of this virtual router by the configured peer that sent them, accepted or not: a node's name, or the address of one of vrrp.extra_peers.",
			readHeard},
		{nameRejected, counter, []string{labelReason}, "Packets that were not accepted, by keepalived's name for the reason.", func(s *snapshot, put put) {
			if s.traffic != nil {
				putSorted(put, s.traffic.Stats.Rejected)
			}
		}},
		{nameForeign, counter, nil, "Adverts of senders whose turn it is not.", ofWire(func(s vrrpwire.Stats) uint64 { return s.ForeignMaster })},
		{nameInterval, counter, nil, "Adverts of peers with another advertisement interval than this node's.",
			ofWire(func(s vrrpwire.Stats) uint64 { return s.IntervalMismatch })},
	}
}

// readHeard leaves strangers out: anybody can be one, under any number of addresses.
func readHeard(s *snapshot, put put) {
	if s.traffic == nil {
		return
	}
	for _, sender := range s.traffic.Senders {
		if sender.Peer {
			put(float64(sender.Adverts), cmp.Or(string(sender.Node), sender.Address.String()))
		}
	}
}
