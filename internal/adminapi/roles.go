package adminapi

import "slices"

// Roles are what a node is beside a member: leader, holder, witness, drained.
func (s Status) Roles(n Node) []string {
	var roles []string
	add := func(is bool, word string) {
		if is {
			roles = append(roles, word)
		}
	}
	add(n.Name == s.Leader, "leader")
	add(slices.ContainsFunc(s.Addresses, func(a Address) bool { return a.Holder == n.Name }), "holder")
	add(n.Witness, "witness")
	add(n.Drained, "drained")
	return roles
}

// Silent reports whether a node is known not to answer the leader. What the cluster agreed on about its health is then what it said last.
func (s Status) Silent(n Node) bool {
	return s.Answering != nil && !slices.Contains(s.Answering, n.Name)
}
