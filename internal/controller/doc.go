// Package controller is where consensus, EC2, VRRP and health meet.
//
// The [Core] decides and the [Driver] acts. The core is pure: Step(now, event) returns the actions to perform, in order; it
// has no goroutine, no clock and no I/O, so every decision is a text transcript in testdata/. The driver owns one goroutine
// that turns inputs into events, and performs actions; what an action leads to comes back as an event.
//
//	Init ──first leader and health known──> Backup <──> Master
//	                                          │            │
//	                                          └──> Fault <─┘     HAProxy unhealthy, from any state
//
// "Leader" is Raft's word and "Master" the wire's: a leader whose claim is not confirmed, or whose HAProxy is unhealthy, is
// not Master. A leader's way to Master is the claim (claim.go), its way out is the departure (departure.go); who should be
// leader at all is placement (placement.go), and what a follower makes of a leader's missing adverts is the hint (hint.go).
//
// Words of this package. A charge is one Elastic IP in the core's care, with a claim of its own; the watch is the read of all of
// them, and the sight what it showed of one. An abdication is the word given to a new leader that this node's earlier
// leaderships are over. Members are who belongs to the cluster, by the committed state; the roster is Raft's side of that;
// the directory is both with the configuration file; the wiring is what the wire makes of it.
package controller
