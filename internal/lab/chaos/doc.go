// Package chaos breaks a running lab in every way that it knows, in a seeded order, and writes down what it did, so that
// package judge can tell from outside whether the cluster kept its promises.
//
//	director ── plan (seeded) ── faults ──┬── keepers     one a node: systemd, and an operator who does what the agent asks
//	                                      ├── wires       what is cut
//	                                      └── weather     what is wrong with EC2
//	witnesses: status of every node, pauses of the machine; the lab's own: EC2's log, packets, client requests
//
// A run goes in rounds: faults, at most two at a time, then everything is mended and the cluster must settle. The seed decides
// kinds, order, targets and times; where a target is "the holder", the cluster decides who that is.
package chaos
