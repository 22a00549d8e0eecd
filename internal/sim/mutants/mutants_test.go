package mutants

// mutant is the product with one protection taken out. The simulator must find out.
type mutant struct {
	name     string
	edits    []edit
	scenario string // tailored schedules for what needs luck; "" = the ordinary ones
	breaks   string // the invariants, one of which the first violation cites
	atMost   int    // schedules until it must be found
}

// edit replaces a text that occurs once in a file of the product.
type edit struct{ file, old, new string }

func mutants() []mutant {
	return []mutant{
		{
			name: "no quorum round between read and disassociate", breaks: "I2", atMost: 2000, scenario: "late calls",
			edits: []edit{{"internal/controller/claim.go",
				"	c.proposeClaim(having(fsm.Takeover, a))\n}",
				`	if k := &c.claim; k.grant.Index != 0 && c.standing(k.grant) && a.AssociationID != "" {
		k.step, k.op, k.inFlight = disassociating, c.nextOp(), true
		c.emit(Disassociate{Op: k.op, Address: c.id, Term: c.lead.Term, Claim: k.grant.Index, Association: a.AssociationID})
		return
	}
	c.proposeClaim(having(fsm.Takeover, a))
}`}},
		},
		{
			name: "AllowReassociation in a strict takeover", breaks: "I2", atMost: 500,
			edits: []edit{{"internal/controller/claim.go",
				"AllowReassociation: k.grant.Atomic()", "AllowReassociation: true"}},
		},
		{
			name: "the contested set is ignored", breaks: "I2", atMost: 500,
			edits: []edit{
				{"fsm/apply.go", "		if c.Fencing == Strict {\n			return a.grantTakeover(g, c)\n		}\n", ""},
				{"fsm/apply.go", `a.Fates[c.Association] != "" && a.Claim.Fencing == Strict`, "false"},
			},
		},
		{
			name: "the contested set is a mark that any Confirm clears", breaks: "I2", atMost: 2000, scenario: "late calls",
			edits: []edit{
				{"fsm/apply.go", `a.Fates[c.Association] != "" && a.Claim.Fencing == Strict`, "false"},
				{"fsm/apply.go", "	g.Confirmed = true\n}", "	g.Confirmed = true\n	a.Fates = nil\n}"},
			},
		},
		{
			name: "no health check before the call", breaks: "I1", atMost: 500,
			edits: []edit{{"internal/controller/permit.go",
				"		case d.ports.Health == nil || !d.ports.Health.Status().Healthy:\n			return errUnhealthy\n", ""}},
		},
		{
			name: "the marker of a lost disk is ignored", breaks: "I7 I1", atMost: 500,
			edits: []edit{{"election/identity.go",
				"		own, err := reincarnate(cfg, s)\n		return own, returning, err\n	default:",
				"		return marker, resumed, nil\n	default:"}},
		},
		{
			name: "Raft's heartbeat fast path is on", breaks: "I1", atMost: 500, scenario: "slow logs",
			edits: []edit{{"election/transport.go",
				"SetHeartbeatHandler(func(raft.RPC)) {}",
				"SetHeartbeatHandler(h func(raft.RPC)) { t.preVoteTransport.SetHeartbeatHandler(h) }"}},
		},
		{
			name: "no quorum evidence before the call", breaks: "I4", atMost: 500, scenario: "lone leaders",
			edits: []edit{{"internal/controller/permit.go", "return d.evidence(term, 0)", "return nil"}},
		},
		{
			name: "a new Master does not wait for the old one's evidence to end", breaks: "I3", atMost: 500, scenario: "short freezes",
			edits: []edit{{"internal/controller/claim.go", "k.reignFrom = c.reignsEnd()", "k.reignFrom = 0"}},
		},
		{
			name: "adverts need no evidence", breaks: "I3", atMost: 500,
			edits: []edit{{"internal/controller/permit.go", "	return d.evidence(term, notBefore)", "	return nil"}},
		},
		{
			name: "one node is a quorum", breaks: "I3 I4", atMost: 100, scenario: "lone leaders",
			edits: []edit{{"election/evidence.go", "quorum := len(voters)/2 + 1", "quorum := 1"}},
		},
		{
			name: "EC2, once out of reach, is never believed to be back", breaks: "I6", atMost: 100, scenario: "outages",
			edits: []edit{{"internal/controller/watch.go",
				"	if !w.reached {", "	if !w.reached && c.charges[0].sight.last == nil {"}},
		},
		{
			name: "an atomic call is forgotten", breaks: "I2", atMost: 500, scenario: "late atomic calls",
			edits: []edit{{"fsm/apply.go", "	a.Attempts = append(a.Attempts, Attempt{Claim: g.Index, Term: g.Term, Node: g.Node})\n", ""}},
		},
		{
			name: "a leader behind the log need not know what is respected", breaks: "I6", atMost: 500, scenario: "foreign moves",
			edits: []edit{{"fsm/apply.go", `a.Foreign != "" && (!c.Observed || c.Association == a.Foreign)`, "false"}},
		},
		{
			name: "one read ends the respect of a foreign move", breaks: "I6", atMost: 500, scenario: "foreign moves",
			edits: []edit{{"internal/controller/claim.go", `c.address().Foreign != "" && (seen == nil || *seen != a) {`, "seen != nil && false {"}},
		},
		{
			name: "a late call of the cluster is taken for a person's move", breaks: "I6", atMost: 500, scenario: "freed for late calls",
			edits: []edit{{"internal/controller/watch.go", ` && !c.ownLateCall(read)`, ""}},
		},
		{
			name: "only an atomic call of the cluster may be late", breaks: "I6", atMost: 500, scenario: "freed for late calls",
			edits: []edit{{"internal/controller/watch.go", "	return c.committed.Unanswered(c.id, string(read.ENI), since)",
				"	_ = since\n	return false"}},
		},
		{
			name: "a recovered node trusts the association that it finds", breaks: "I2", atMost: 500, scenario: "lost quorums",
			edits: []edit{{"fsm/recover.go", `		a.mark(a.Association, Contested)
		a.GuardDone, a.Uncertain = "", true
`, "		a.GuardDone = \"\"\n"}},
		},
		{
			name: "a recovered node counts with no lost atomic call", breaks: "I2", atMost: 500, scenario: "lost quorums",
			edits: []edit{{"fsm/recover.go", "		a.Attempts = append(a.Attempts, Attempt{Claim: s.Index + 1, Term: s.Term, Node: a.Holder})\n", ""}},
		},
		{
			name: "a recovered node keeps its identity", breaks: "I7", atMost: 100, scenario: "lost quorums",
			edits: []edit{{"election/recover.go", "Incarnation: newIncarnation(), Generation: next", "Incarnation: old.Incarnation, Generation: next"}},
		},
		{
			name: "a hand-over ends the respect of a foreign move", breaks: "I6", atMost: 500, scenario: "lost quorums",
			edits: []edit{{"internal/controller/departure.go", "		return c.address().Foreign\n", "		return \"\"\n"}},
		},
		{
			name: "a hint needs no quorum", breaks: "calm", atMost: 200, scenario: "calm",
			edits: []edit{{"internal/controller/poll.go", "return t.misses >= t.quorum", "return true"},
				{"internal/controller/poll.go", "	if t.misses+t.open < t.quorum {\n		return errNoQuorumMisses\n	}\n", ""}},
		},
		{
			name: "what a node did not hear while it stood still counts as silence", breaks: "calm", atMost: 200, scenario: "calm",
			edits: []edit{{"internal/controller/hint.go", "late <= h.interval*3/4", "late <= time.Hour"}},
		},
		{
			name: "foreign moves are not looked for", breaks: "I6", atMost: 500, scenario: "foreign moves",
			edits: []edit{{"internal/controller/watch.go", "	case c.claim.step == holding:\n		c.compare(read)\n", ""}},
		},
	}
}
