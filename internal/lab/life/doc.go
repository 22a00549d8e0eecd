// Package life leads one cluster through its whole life, in the lab, and checks each step against what the documentation says of it:
// bootstrap, failover, drain, a dead machine and its replacement, a rolling upgrade, growth, new certificates, shrinking, the loss of
// the quorum and the recovery from it. What it saw becomes docs/LIFE.md.
//
// A step is what an operator does, and where possible what the operator types: those commands run as they stand, on the node or at the
// operator's desk. What must be there afterwards is checked in the step. What clients may notice is a promise beside the step, which
// a busy machine can break by itself; it is told apart from an error.
package life
