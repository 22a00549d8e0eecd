// Package fleet answers what happens to many hacluster clusters of one AWS account when an Availability Zone fails.
//
// It is a discrete-event simulation: one queue of events ordered by virtual time, no goroutine, no sleep. What decides is the
// product: each node is a [controller.Core] with its own back-off, each cluster's committed state is an [fsm.State]. What is made
// up is around them: Raft (an entry commits at once, a leader is elected in about a second), the network, and EC2, of which only
// the addresses and the documented request throttling are there. The same seed gives the same figures.
package fleet
