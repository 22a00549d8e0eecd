package life

import (
	"context"
	"time"
)

// step is one chapter of the life.
type step struct {
	Name string
	// Story tells in a sentence or two what happens and what to look at.
	Story   string
	do      func(context.Context, *play) error // what the operator does, and what must be so afterwards
	promise promise
}

// steps are the life, in order. The limits on time are those of TestFaults: far above what is measured on a quiet machine.
func steps() []step {
	const heartbeat = time.Second // raft.heartbeat_timeout: a hand-over needs no election by time-out
	return []step{
		{"bootstrap with TLS", `Three machines run HAProxy, and the Elastic IP leads to node-a, as it did before anybody thought of a cluster. The operator makes a certificate
authority and three certificates, starts three agents, and they find one another. The address is adopted where it is: EC2 is asked for nothing but a look.`,
			bootstrap, promise{}},
		{"HAProxy dies", `Every HAProxy process of the holder is killed. Nobody could have served in that moment; the next node does at once. HAProxy is
started again, and the address stays where it went.`,
			haproxyDies, promise{moves: 1, associate: 1, gap: heartbeat}},
		{"drain and reboot", `The holder is to be patched. A drain hands over first, and is committed: the machine is switched off and on, and is still drained.`,
			drain, promise{moves: 1, associate: 1}},
		{"a machine dies", `The holder's machine is gone from one moment to the next. Its agent cannot let go of the address any more, so the successor takes it by
compare-and-set: two calls.`,
			machineDies, promise{moves: 1, associate: 1, disassociate: 1, gap: 10 * time.Second}},
		{"replace the dead machine", `A new machine takes the name and the network interface of the dead one, with an empty disk and a new certificate. No command makes it a
member: it comes back as a new incarnation, and gets its vote once it has kept up.`,
			replace, promise{}},
		{"rolling upgrade", `The next release knows more commands (level 2), and letting nodes in is one of them: as long as the older one runs, that is refused. One node
after the other gets the new build, the holder last. When all have it, the cluster agrees on the new level.`,
			upgrade, promise{moves: 1, associate: 1}},
		{"grow to five", `Two machines are added. Each gets a certificate and a configuration with one line more; the files of the others stay as they are.`,
			grow, promise{}},
		{"replace the authority", `The certificate authority is replaced while all five talk to one another: first both are trusted, then each node gets a certificate of the new
one, then the old one is dropped. Who still comes with an old certificate is refused.`,
			rotate, promise{}},
		{"shrink to three", `Two nodes go: one that only votes along, and the holder, which hands over before it is removed. Three are left, of which one was not there
in the beginning.`,
			shrink, promise{moves: 1, associate: 1}},
		{"the quorum is lost", `Both other machines die at once. Nobody can be elected any more, so nothing can move. The holder goes on serving, and makes no call.`,
			loseQuorum, promise{leaderless: true}},
		{"recovery", `They are lost for good. The holder's agent is stopped, its HAProxy is not. It becomes the only voter with what it knows, and finds the address
where it left it.`,
			recoverAlone, promise{leaderless: true}},
		{"the others come back", `One machine has a new disk. The other one has its old disk, with what it knew before: it refuses to run on that, and joins empty
once that is moved away. The cluster is whole.`,
			comeBack, promise{}},
		{"a planned move under guard", `For half an hour after a recovery every call of the past counts as under way, and so even a planned move is a compare-and-set: the address
leads nowhere for one round trip to EC2. Afterwards a move costs nothing again.`,
			handOver, promise{moves: 1, associate: 1, disassociate: 1, gap: heartbeat}},
	}
}
