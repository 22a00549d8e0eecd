package judge

// Advertised says that an advert leaves a node (invariant I3). reign tells the reigns of all nodes apart; it is not 0.
//
// Reigns never overlap: once a reign has begun to advertise, no reign that began before it does so again. And nothing follows
// a reign's own priority 0.
func (j *Judge) Advertised(node string, reign int, priority uint8) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if priority == 0 {
		j.over[reign] = "its priority 0"
		return
	}
	if why, ended := j.over[reign]; ended {
		j.accuse("I3", "%s advertises priority %d in a reign that ended with %s", node, priority, why)
	}
	if j.reign != 0 && j.reign != reign {
		if _, ended := j.over[j.reign]; !ended {
			j.over[j.reign] = "the first advert of " + node
		}
	}
	j.reign = reign
}
