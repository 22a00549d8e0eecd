package election

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// patientElections is for how many election time-outs a candidate may know a leader. With a leader that lives it is one or two.
const patientElections = 6

// watchCandidacy ends Run when Raft is caught between two states. A node that stands for election because of a TimeoutNow and hears of
// another leader of its term takes note of that leader and stays a candidate (hashicorp/raft v1.7.3, appendEntries). If that leader dies
// before its next heartbeat, the node never forgets it: it refuses every pre-vote, "since we have a leader", for ever.
func (n *Node) watchCandidacy(ctx context.Context, r *raft.Raft) error {
	ticker := time.NewTicker(n.cfg.Timing.Election)
	defer ticker.Stop()
	for seen := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		_, leader := r.LeaderWithID()
		if r.State() != raft.Candidate || leader == "" {
			seen = 0
			continue
		}
		if seen++; seen == patientElections {
			return fmt.Errorf("raft: a candidate for %v that believes in the leader %s and so refuses every other: "+
				"the process ends and must be restarted", patientElections*n.cfg.Timing.Election, nodeName(leader))
		}
	}
}
