// Package election runs one node of the Raft group: hashicorp/raft over TCP with a bbolt store.
//
// Its job: elect a leader, replicate commands into the StateMachine that it is given, tell who leads and in which term
// (Node.Leaderships), prove that a quorum still follows (Node.Evidence), hand leadership over (Node.Transfer), and carry
// small JSON calls between the nodes (Node.Call). It knows nothing of Elastic IPs, of VRRP, or of what the commands mean.
//
// Four things differ from hashicorp/raft used as it comes:
//
//   - The transport (transport.go) has no heartbeat fast path (hashicorp/raft#695: two leaders in one term), no pipeline
//     (#612), a short timeout, its own consumer channel, and it stamps the start of every AppendEntries.
//   - A write to the store that misses its deadline poisons the store and ends the process (deadline.go), because a
//     leader whose disk hangs would keep sending heartbeats for ever.
//   - A server id is a node name and an incarnation (identity.go). A node that lost its store comes back under a new
//     incarnation, as a new member; a connection meant for the old one is refused. A voter never votes twice with one vote.
//   - The store (boltstore.go, boltfile.go, snapshots.go) checks all that it reads: bbolt does not, and raft-boltdb adds nothing
//     (docs/adr/0008). What is damaged is refused with the remedy, and never taken for another vote or a shorter log.
//
// What is not detected: an intact but older page, where the disk lost a write that it had acknowledged.
package election
