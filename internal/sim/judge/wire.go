package judge

// Advert is a VRRP advertisement that leaves a node.
type Advert struct {
	Node     string
	Reign    int    // tells the reigns of all nodes apart; not 0
	Claim    uint64 // index of the claim that the reign is for
	Priority uint8
	Voters   []string // as in Call
}

// Advertised says that an advert leaves a node (invariant I3).
//
// Reigns never overlap: once a reign has begun to advertise, no reign that began before it does so again. Nothing follows
// a reign's own priority 0. And whoever advertises was followed by a quorum a moment ago: that is what keeps reigns apart when
// nothing else does.
func (j *Judge) Advertised(a Advert) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if a.Priority == 0 {
		j.over[a.Reign] = "its priority 0"
		return
	}
	if why, ended := j.over[a.Reign]; ended {
		j.accuse("I3", "%s advertises priority %d in a reign that ended with %s", a.Node, a.Priority, why)
	}
	if j.reign != 0 && j.reign != a.Reign {
		if _, ended := j.over[j.reign]; !ended {
			j.over[j.reign] = "the first advert of " + a.Node
		}
	}
	j.reign = a.Reign
	j.demandGrant(a)
}

// demandGrant: a reign belongs to a claim of the node's, in whose term a quorum follows it.
func (j *Judge) demandGrant(a Advert) {
	g, granted := j.grants[a.Claim]
	if !granted || string(g.node) != a.Node {
		j.accuse("I3", "%s advertises priority %d for claim %d, which was not granted to it", a.Node, a.Priority, a.Claim)
		return
	}
	j.demandQuorum("I3", a.Node, "advertises", g.term, a.Voters, advertSlack)
}
