package controller

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
)

const (
	membersPath = "/v1/members"
	// membersWithin bounds the question to the leader for its list.
	membersWithin = time.Second
)

// Roster is Raft's side of membership.
type Roster interface {
	Servers() []election.Server
	CheckRemoval(ctx context.Context, name string) error
	Remove(ctx context.Context, name string) error
}

// The standings of a node.
const (
	// StandingVoter: it votes.
	StandingVoter = "voter"
	// StandingNonVoter: it receives the log, and gets its vote once it has caught up for a while.
	StandingNonVoter = "non-voter"
	// StandingAdmitted: it may join, and has not come yet.
	StandingAdmitted = "admitted"
	// StandingRemoved: it may not join before it is admitted again.
	StandingRemoved = "removed"
	// StandingLeaving: the cluster has agreed to remove it, and Raft has not done it yet.
	StandingLeaving = "being removed"
)

// Member is one line of the list of members.
type Member struct {
	Name        string `json:"name"`
	Address     string `json:"address,omitempty"`
	VRRPAddress string `json:"vrrp_address,omitempty"`
	Priority    int    `json:"priority,omitempty"`
	Witness     bool   `json:"witness,omitempty"`
	Standing    string `json:"standing"`
	Incarnation string `json:"incarnation,omitempty"`
	// ContactMS is the age of the newest word of it, in milliseconds, at the leader; negative if there is none.
	ContactMS int64  `json:"contact_ms"`
	Version   string `json:"version,omitempty"`
}

// MemberList is the members as one node sees them.
type MemberList struct {
	// From is the node whose list it is, and Leader who leads as far as it knows. Only the leader knows contacts.
	From    string   `json:"from"`
	Leader  string   `json:"leader"`
	Members []Member `json:"members"`
}

// Members returns the members as the leader sees them, or, without one, as this node does.
func (d *Driver) Members(ctx context.Context) MemberList {
	lead := d.View().Leadership
	if lead.Self || lead.Leader == "" {
		return d.listMembers()
	}
	ctx, cancel := context.WithTimeout(ctx, membersWithin)
	defer cancel()
	var list MemberList
	if err := d.ports.Peers.Call(ctx, string(lead.Leader), membersPath, nil, &list); err != nil {
		return d.listMembers() // it says whose list it is
	}
	return list
}

func (d *Driver) listMembers() MemberList {
	v := d.View()
	list := MemberList{From: string(d.cfg.Self.Name), Leader: string(v.Leadership.Leader)}
	byName := map[string]*Member{}
	member := func(name, standing string) *Member {
		if byName[name] == nil {
			byName[name] = &Member{Name: name, ContactMS: -1}
		}
		byName[name].Standing = cmp.Or(standing, byName[name].Standing)
		return byName[name]
	}
	for name := range v.Committed.Removed {
		member(string(name), StandingRemoved)
	}
	for name, n := range v.Committed.Nodes {
		member(string(name), StandingAdmitted).describe(n.Attributes)
	}
	for name, a := range v.Committed.Admitted {
		member(string(name), StandingAdmitted).describe(a)
	}
	if d.ports.Roster != nil {
		for _, s := range d.ports.Roster.Servers() {
			member(s.Name, "").enlist(s)
		}
	}
	for _, m := range byName {
		list.Members = append(list.Members, *m)
	}
	slices.SortFunc(list.Members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (m *Member) describe(a fsm.Attributes) {
	m.Address, m.VRRPAddress, m.Priority, m.Witness, m.Version = a.Address, a.VRRPAddress, int(a.Priority), a.Witness, a.Version
}

// enlist adds what Raft knows.
func (m *Member) enlist(s election.Server) {
	m.Incarnation, m.Address = s.Incarnation, cmp.Or(m.Address, s.Address)
	if s.Contact >= 0 {
		m.ContactMS = s.Contact.Milliseconds()
	}
	switch {
	case m.Standing == StandingRemoved:
		m.Standing = StandingLeaving
	case s.Voter:
		m.Standing = StandingVoter
	default:
		m.Standing = StandingNonVoter
	}
}

func (d *Driver) serveMembers(w http.ResponseWriter, _ *http.Request) { write(w, d.listMembers()) }
