package mutants

// mutant is the product with one protection taken out. The simulator must find out.
type mutant struct {
	name     string
	edits    []edit
	scenario string // tailored schedules for what needs luck; "" = the ordinary ones
	breaks   string // the invariant that the first violation cites
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
		c.emit(Disassociate{Op: k.op, Term: c.lead.Term, Claim: k.grant.Index, Association: a.AssociationID})
		return
	}
	c.proposeClaim(having(fsm.Takeover, a))
}`}},
		},
		{
			name: "AllowReassociation in a strict takeover", breaks: "I2", atMost: 500,
			edits: []edit{{"internal/controller/claim.go",
				"AllowReassociation: k.grant.Mode == fsm.Handover", "AllowReassociation: true"}},
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
			name: "the marker of a lost disk is ignored", breaks: "I7", atMost: 500,
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
			name: "no quorum evidence before the call", breaks: "I4", atMost: 500,
			edits: []edit{{"internal/controller/permit.go", "return d.evidence(term, 0)", "return nil"}},
		},
		{
			name: "a new Master does not wait for the old one's evidence to end", breaks: "I3", atMost: 500, scenario: "short freezes",
			edits: []edit{{"internal/controller/claim.go",
				"k.reignFrom = c.now + c.cfg.Timing.EvidenceMaxAge + c.cfg.Timing.EvidenceMaxAge/100", "k.reignFrom = 0"}},
		},
		{
			name: "adverts need no evidence", breaks: "I3", atMost: 500,
			edits: []edit{{"internal/controller/permit.go", "	return d.evidence(term, notBefore)", "	return nil"}},
		},
		{
			name: "foreign moves are not looked for", breaks: "I6", atMost: 500,
			edits: []edit{{"internal/controller/watch.go", "	case c.claim.step == holding:\n		c.compare(e.Address)\n", ""}},
		},
	}
}
