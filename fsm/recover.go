package fsm

// Recover makes of the last state that a node knows the first one of a cluster that lost its quorum for good and goes on with that node
// alone. What others knew is lost: entries behind this state may have been committed, and calls that they allowed may be in flight. So
// nothing that this state says of an address is believed any more than it must be:
//
//   - no claim is released, because a lost claim may have consumed the release;
//   - an atomic call counts as out, so that everything is compare-and-set, and guarded, until a guard is done;
//   - the association, and whatever else is found before this cluster has made one of its own, may be disassociated by a call in flight.
//
// The cluster manages these addresses, of which this state may have known nothing yet. Other nodes are unfit until they report; this one belongs
// to its own cluster, even if it had been removed. unixMilli and reason are for the history.
func (s *State) Recover(node NodeName, addresses []AllocationID, unixMilli int64, reason string) {
	s.Level = max(s.Level, 2) // which knows Uncertain; nobody of an older build is left to be asked
	for _, id := range addresses {
		if _, known := s.Addresses[id]; !known {
			s.Addresses[id] = Address{}
		}
	}
	for id, a := range s.Addresses {
		a = a.clone()
		if a.Claim != nil {
			a.Claim.Released, a.Claim.Clean = false, false
		}
		a.mark(a.Association, Contested)
		a.GuardDone, a.Uncertain = "", true
		// The entry behind the newest one here: if there was a claim, it may have been that one or any later.
		a.Attempts = append(a.Attempts, Attempt{Claim: s.Index + 1, Term: s.Term, Node: a.Holder})
		s.Addresses[id] = a
	}
	delete(s.Removed, node)
	for name, n := range s.Nodes {
		if name != node {
			n.Healthy, n.EC2, n.Reason = false, false, "not heard of since the recovery"
			s.Nodes[name] = n
		}
	}
	s.record(Transition{UnixMilli: unixMilli, Event: eventRecovered, Node: node, Reason: reason})
}
