// Package fsm is the replicated state machine that Raft applies: which node holds which Elastic IP, under which claim,
// which association ids may no longer be trusted, which nodes are fit to hold, and what happened before.
//
// It is the place that grants. A node asks with a [Claim]; applying the entry answers whether the claim is granted and in
// which [Mode], from applied state only, so that every replica gives the same answer. A leader that was not granted its
// claim calls nothing (invariant I1).
//
// Three pieces of state carry the fence (invariant I2, docs/DESIGN.md "The claim"):
//
//   - The claim itself. A [Claim] consumes a [Release]; only a released claim with nothing in flight allows a handover.
//   - The fates of association ids. Every id that a takeover named may still have a DisassociateAddress in flight, for ever
//     as far as clocks are not trusted; every id that a later Confirm replaced is gone. The set is never cut.
//   - The attempts. An atomic AssociateAddress whose answer never came may still land; it is remembered until its own answer
//     or a committed [GuardDone].
//
// Builds that know different commands share a cluster: what each command and each state needs of a build is its [Level]. Up to there all
// builds agree; beyond it a build must end, which [Level.Check] says.
//
// The package holds values only: no network, no operating system, no clock, no goroutine, no AWS. Times in commands are the
// proposer's word and serve people, never decisions.
package fsm
