// Package discovery keeps the members of a cluster in step with the EC2 instances that carry a tag, as those of an Auto Scaling group do, and
// finds a node's place at its first start (docs/DISCOVERY.md).
//
// The core decides and has no clock, no goroutine and no I/O: Core.Step takes one read of EC2 and the members as Raft knows them, and returns
// whom to admit and whom to remove. It is slow and timid on purpose. A member that is kept by mistake is a vote that is missing;
// one that is removed by mistake leaves a quorum that is smaller than people think.
//
// A node's name is its instance id: EC2 never uses one twice, so a new instance with the address of an old one is somebody else.
package discovery
