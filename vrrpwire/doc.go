// Package vrrpwire speaks VRRP over IPv4: it encodes and decodes advertisements (versions 2 and 3), and advertises
// to and listens to a set of unicast peers through a raw socket of IP protocol 112.
//
// It knows nothing of Raft. Whoever owns an [Endpoint] says when it reigns, and hands it a [Permit] that is asked
// before each advert; the packets heard from peers are evidence and never authority, so none of them ends a reign.
//
//	advert.go      the message and its timers; units are converted here and nowhere else
//	decode.go      the same for whoever looks on: captures, and packets that were rejected
//	checksum.go    what the checksum covers
//	errors.go      why packets are rejected, in keepalived's words
//	config.go      one virtual router as this node speaks it
//	peers.go       other peers, while it runs
//	conn.go        the raw socket
//	device.go      the interface that it is bound to, also after that was pulled and plugged in again
//	nexthop.go     whether a packet would leave at once
//	endpoint.go    reign, resign, counters
//	listener.go    drain the socket; accept or reject
//	monitor.go     what was heard from whom, and what of it an operator should look at
//	advertiser.go  the schedule, and the check right before each send
//	segment.go     an in-memory wire for simulations
//
// # One voice
//
// Invariant I3: reigns on the wire never overlap. The permit bounds how long a deposed Master can go on, by the age of
// its quorum evidence. The endpoint adds what only the wire can know. Right before each advert, with one mutex held
// from here to the send, it reads every packet that the kernel has queued. If a peer has been heard to advertise a
// non-zero priority, the permit must be given anew for evidence that started after that was read. Packets lost to a
// full queue count as such an advert. An advert leaves now or not at all: no packet, priority 0 included, is given to
// the kernel for a peer whose next hop is not resolved, since it would be parked until ARP is answered, and leave
// behind all these checks. What remains is a pause between the last look at the clock and the system call.
package vrrpwire
