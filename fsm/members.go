package fsm

// upsertNode takes a node's word about itself. The first word of one that was let in makes it a member.
func (s *State) upsertNode(c UpsertNode) Result {
	if c.Node.Name == "" {
		return denied(DeniedInvalid)
	}
	if _, removed := s.Removed[c.Node.Name]; removed {
		return denied(DeniedRemoved)
	}
	n := s.Nodes[c.Node.Name]
	n.Attributes = c.Node
	s.Nodes[c.Node.Name] = n
	// The machine that is to be replaced may speak once more; the admission is for the one at the new address.
	if s.Admitted[c.Node.Name].Address == c.Node.Address {
		delete(s.Admitted, c.Node.Name)
	}
	return Result{}
}

func (s *State) admitNode(c AdmitNode) Result {
	if !nameable(c.Node.Name) || c.Node.Address == "" {
		return denied(DeniedInvalid)
	}
	if s.taken(c.Node) {
		return denied(DeniedTaken)
	}
	delete(s.Removed, c.Node.Name)
	if member, known := s.Nodes[c.Node.Name]; known && member.Address == c.Node.Address {
		delete(s.Admitted, c.Node.Name) // it is there already, and speaks for itself
		return Result{}
	}
	if s.Admitted == nil {
		s.Admitted = map[NodeName]Attributes{}
	}
	s.Admitted[c.Node.Name] = c.Node
	s.record(Transition{UnixMilli: c.UnixMilli, Event: eventAdmitted, Node: c.Node.Name, Reason: c.Reason})
	return Result{}
}

// nameable bounds what an entry can add to the state.
func nameable(name NodeName) bool {
	const longest = 63
	return name != "" && len(name) <= longest
}

// taken reports whether another node has one of the addresses.
func (s *State) taken(wanted Attributes) bool {
	for name, n := range s.Nodes {
		if name != wanted.Name && n.collides(wanted) {
			return true
		}
	}
	for name, a := range s.Admitted {
		if name != wanted.Name && a.collides(wanted) {
			return true
		}
	}
	return false
}

func (a Attributes) collides(b Attributes) bool {
	return a.Address == b.Address || a.VRRPAddress != "" && a.VRRPAddress == b.VRRPAddress
}

// removeNode also takes a name that the state does not know: a node may be a voter and have said nothing of itself yet.
func (s *State) removeNode(c RemoveNode) Result {
	if s.Level < 2 {
		return s.forgetNode(c.Node)
	}
	if !nameable(c.Node) {
		return denied(DeniedInvalid)
	}
	if _, again := s.Removed[c.Node]; again {
		return Result{}
	}
	delete(s.Nodes, c.Node)
	delete(s.Admitted, c.Node)
	if s.Removed == nil {
		s.Removed = map[NodeName]uint64{}
	}
	s.Removed[c.Node] = s.Index
	s.forgetFirstRemoved()
	s.record(Transition{UnixMilli: c.UnixMilli, Event: eventRemoved, Node: c.Node, Reason: c.Reason})
	return Result{}
}

// forgetNode is what a removal does at level 1.
func (s *State) forgetNode(name NodeName) Result {
	if _, known := s.Nodes[name]; !known {
		return denied(DeniedUnknownNode)
	}
	delete(s.Nodes, name)
	return Result{}
}

func (s *State) forgetFirstRemoved() {
	if len(s.Removed) <= removedLimit {
		return
	}
	first := s.Index
	for _, index := range s.Removed {
		first = min(first, index)
	}
	for name, index := range s.Removed {
		if index == first {
			delete(s.Removed, name)
			return
		}
	}
}
