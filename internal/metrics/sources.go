package metrics

import (
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/discovery"
	"github.com/hacluster/hacluster/internal/hooks"
)

// reachableWithin is how recent a peer's word must be for a leader to call it reachable. An idle leader asks several times a second.
const reachableWithin = 2 * time.Second

// Driver knows the node's state and what went over its wire.
type Driver interface {
	View() *controller.View
	Traffic() *controller.Traffic // nil: no wire
}

// Raft knows the consensus.
type Raft interface {
	Status() election.Status
	Reachable(within time.Duration) []string
}

// Health knows the node's own HAProxy.
type Health interface{ Status() health.Status }

// EC2 knows how ready the next call is.
type EC2 interface{ Warm() eip.Warmth }

// Hooks knows how the operator's programs fared.
type Hooks interface{ Stats() hooks.Stats }

// Discovery knows what looking for instances came to.
type Discovery interface{ Reading() discovery.Reading }

// Sources are asked at each scrape, by several goroutines at a time.
type Sources struct {
	Driver Driver
	Raft   Raft
	Hooks  Hooks
	Health Health // nil on a witness
	EC2    EC2    // nil on a witness
	// Discovery is nil where the nodes are configured.
	Discovery Discovery
	// CertificateEnd returns when the node's certificate ends; nil without TLS.
	CertificateEnd func() time.Time
}

// snapshot is what one scrape is made of.
type snapshot struct {
	id          Identity
	now         time.Time
	view        *controller.View
	raft        election.Status
	reachable   []string // peers, if this node leads
	hooks       hooks.Stats
	traffic     *controller.Traffic
	health      *health.Status
	ec2         *eip.Warmth
	certificate *time.Time
	discovery   *discovery.Reading
}

func (s Sources) look(id Identity) *snapshot {
	shot := &snapshot{id: id, now: time.Now(), view: s.Driver.View(), traffic: s.Driver.Traffic(), raft: s.Raft.Status(),
		reachable: s.Raft.Reachable(reachableWithin), hooks: s.Hooks.Stats()}
	if s.Health != nil {
		status := s.Health.Status()
		shot.health = &status
	}
	if s.EC2 != nil {
		warmth := s.EC2.Warm()
		shot.ec2 = &warmth
	}
	if s.Discovery != nil {
		reading := s.Discovery.Reading()
		shot.discovery = &reading
	}
	if s.CertificateEnd != nil {
		end := s.CertificateEnd()
		shot.certificate = &end
	}
	return shot
}

// leading reports whether this node is Raft's leader, as it knows it.
func (s *snapshot) leading() bool { return s.view.Leadership.Self }

// leaderKnown reports whether it knows one.
func (s *snapshot) leaderKnown() bool { return s.view.Leadership.Leader != "" }

// ready is what /readyz says.
func (s *snapshot) ready() bool { return s.view.Ready(s.health == nil) }

// candidates counts the nodes that may hold, as far as the cluster agreed.
func (s *snapshot) candidates() (n int) {
	for _, node := range s.view.Committed.Nodes {
		if node.Candidate() {
			n++
		}
	}
	return n
}

// recoveries counts those that the cluster of this node has gone through. Their ids are joined by '/'.
func (s *snapshot) recoveries() int {
	if s.raft.Generation == "" {
		return 0
	}
	return strings.Count(s.raft.Generation, "/") + 1
}

// tolerated returns how many more voters may fail before there is no quorum: those that answer, this node counted, less a majority.
func (s *snapshot) tolerated() int {
	alive := 0
	for _, voter := range s.raft.Voters {
		if voter == s.id.Node || slices.Contains(s.reachable, voter) {
			alive++
		}
	}
	return alive - (len(s.raft.Voters)/2 + 1)
}

// address returns what is agreed about one of the configured addresses.
func (s *snapshot) address(a controller.AddressView) fsm.Address {
	return s.view.Committed.Addresses[a.ID]
}
