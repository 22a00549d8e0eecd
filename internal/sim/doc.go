// Package sim runs whole clusters in testing/synctest bubbles and tries to break them.
//
// All of the product is real: election with its transport, its stores and its identity files, hashicorp/raft, the controller, the
// state machine, the eip client with the AWS SDK, its signatures and its final check, the VRRP endpoints. What is simulated is the
// world around it: time, the network (simnet), the EC2 account (ec2fake, behind simulated connections), HAProxy, and the power switch.
//
// Who follows whom is the judge's own knowledge. The leader's evidence is made by the product, so it cannot acquit the product; the other
// end of the connection can: what each node reads of hashicorp/raft's AppendEntries, and what it answers, is decoded where it crosses
// simnet (tap). Parsing is the least invasive seam there is: asking a node for its term when it answers would race with Raft, which
// answers from a loop of its own. Who votes is the word of the leader's Raft.
//
// A Schedule is drawn from a seed; Run carries it out, tells a judge every fact as it happens, and returns what it said. hashicorp/raft
// draws its own time-outs and goroutines run in any order, so a seed fixes what is done to the cluster and not what the cluster does.
package sim
