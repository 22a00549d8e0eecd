package metrics

import (
	"maps"
	"slices"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

func raftFamilies() []family {
	return []family{
		{nameLeading, gauge, nil, "1 if this node is Raft's leader, as far as it knows.", whether((*snapshot).leading)},
		{nameLeaderKnown, gauge, nil, "1 if this node knows a leader.", whether((*snapshot).leaderKnown)},
		{nameTerm, gauge, nil, "Raft's term. A term that climbs means elections.", one(func(s *snapshot) uint64 { return s.raft.Term })},
		{nameLastIndex, gauge, nil, "Index of the newest entry in this node's log.", one(func(s *snapshot) uint64 { return s.raft.LastIndex })},
		{nameCommitIndex, gauge, nil, "Index of the newest entry that this node knows to be committed.",
			one(func(s *snapshot) uint64 { return s.raft.CommitIndex })},
		{nameAppliedIndex, gauge, nil, "Index of the newest entry that this node has applied. How far it is behind the leader's commit index is its lag.",
			one(func(s *snapshot) uint64 { return s.raft.AppliedIndex })},
		{nameStoreError, gauge, nil, "1 while this node's disk refuses log entries: it falls behind, and cannot lead.",
			whether(func(s *snapshot) bool { return s.raft.StoreError != "" })},
		{nameApply, histogram, nil, "How long an entry took from its proposal here to its answer, in seconds: a quorum's disks and network.", nil},
		{nameApplyFailed, counter, nil, "Entries proposed here that got no answer: leadership lost, no quorum, time-out.", nil},
	}
}

func memberFamilies() []family {
	return []family{
		{nameVoters, gauge, nil, "Nodes that vote, as this node knows it.", one(func(s *snapshot) int { return len(s.raft.Voters) })},
		{namePeer, gauge, []string{labelPeer}, "1 if the voter answers this leader. Absent on a node that does not lead.", readPeers},
		{nameTolerated, gauge, nil, "How many more voters may fail before there is no quorum, by the voters that answer. Absent on a node that does not lead.",
			func(s *snapshot, put put) {
				if s.leading() {
					put(float64(s.tolerated()))
				}
			}},
		{nameCandidates, gauge, nil, "Nodes that may hold the Elastic IP, as far as this node knows what is agreed: HAProxy healthy, EC2 reached, not drained, no witness.",
			one((*snapshot).candidates)},
		{nameRecoveries, gauge, nil, "How many recoveries from a lost quorum this node's cluster has gone through (docs/RECOVERY.md). The same on all its nodes.",
			one((*snapshot).recoveries)},
		{nameRefused, counter, []string{labelReason}, "Connections to this node's port that were refused or cut, by reason (docs/TLS.md).",
			func(s *snapshot, put put) { putSorted(put, s.raft.Refusals) }},
		{nameCertificate, gauge, nil, "When the certificate ends by which the other nodes know this one, in seconds since 1970. Absent without TLS.",
			func(s *snapshot, put put) {
				if s.certificate != nil {
					put(unix(*s.certificate))
				}
			}},
	}
}

func readPeers(s *snapshot, put put) {
	if !s.leading() {
		return
	}
	for _, voter := range slices.Compact(slices.Clone(s.raft.Voters)) { // a node may have two incarnations for a moment
		if voter != s.id.Node {
			put(truth(slices.Contains(s.reachable, voter)), voter)
		}
	}
}

func addressFamilies() []family {
	self := func(s *snapshot) fsm.NodeName { return fsm.NodeName(s.id.Node) }
	return []family{
		{nameHeld, gauge, []string{labelAllocation}, "1 if the cluster agreed that this node holds the Elastic IP.",
			eachAddress(func(s *snapshot, a fsm.Address) bool { return a.HeldBy(self(s)) })},
		{nameConfirmed, gauge, []string{labelAllocation}, "1 if, as far as this node knows, some node's claim to the Elastic IP is carried out and stands.",
			eachAddress(func(_ *snapshot, a fsm.Address) bool { return a.Claim != nil && a.HeldBy(a.Claim.Node) })},
		{nameGuarded, gauge, []string{labelAllocation}, "1 while a call of the past may still move the Elastic IP; the holder watches it closely, half an hour as a rule.",
			eachAddress(func(_ *snapshot, a fsm.Address) bool { return a.Guarded() })},
		{nameRespected, gauge, []string{labelAllocation}, "1 while somebody else's association is left alone (eip.drift: respect).",
			eachAddress(func(_ *snapshot, a fsm.Address) bool { return a.Foreign != "" })},
		{nameForeignMoves, counter, nil, "How often this node, as the holder, found an Elastic IP moved by somebody else.",
			one(func(s *snapshot) uint64 { return s.view.ForeignMoves })},
		{nameClaims, counter, []string{labelMode}, "Claims of this node that were granted, by the way they are carried out (docs/DESIGN.md).", nil},
		{nameDenied, counter, []string{labelReason}, "Entries of this node that the state machine denied.", nil},
	}
}

func eachAddress(is func(*snapshot, fsm.Address) bool) func(*snapshot, put) {
	return func(s *snapshot, put put) {
		for _, a := range s.view.Addresses {
			put(truth(is(s, s.address(a))), string(a.ID))
		}
	}
}

// putSorted says a count for each word.
func putSorted[Word ~string](put put, counts map[Word]uint64) {
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		put(float64(counts[word]), string(word))
	}
}

func hintFamilies() []family {
	count := func(of func(controller.HintCounts) uint64) func(*snapshot, put) {
		return one(func(s *snapshot) uint64 { return of(s.view.Hints) })
	}
	return []family{
		{nameHintsAsked, counter, nil, "How often this node missed the leader's adverts and asked the other voters.",
			count(func(h controller.HintCounts) uint64 { return h.Asked })},
		{nameHintsRefuted, counter, nil, "Of these, how often the others heard the leader, or it answered.",
			count(func(h controller.HintCounts) uint64 { return h.Refuted })},
		{nameHintsLate, counter, nil, "Of these, how often the leader's machine was up, so that its agent was given more time.",
			count(func(h controller.HintCounts) uint64 { return h.Late })},
		{nameHintsSent, counter, nil, "How often this node stood for election because a quorum missed the leader's adverts.",
			count(func(h controller.HintCounts) uint64 { return h.Sent })},
		{nameHintsFailed, counter, nil, "Of these, how often Raft had moved on already.",
			count(func(h controller.HintCounts) uint64 { return h.Failed })},
		{nameStalls, counter, nil, "How often this process was not scheduled for longer than an advertisement interval, seen while it listened to a leader.",
			count(func(h controller.HintCounts) uint64 { return h.Stalls })},
		{nameLongestStall, gauge, nil, "The longest of these pauses since the start, in seconds.",
			one(func(s *snapshot) float64 { return float64(s.view.Hints.LongestStall) / 1000 })},
	}
}
