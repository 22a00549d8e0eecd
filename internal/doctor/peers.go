package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/keyring"
)

const (
	// expiryWarn is when the agent begins to warn, too.
	expiryWarn = 30 * 24 * time.Hour
	// visits is how often a peer is asked for the round trip, of which the shortest counts.
	visits = 4
)

// peer is what came of a visit to another node's port.
type peer struct {
	config.Node
	err       error // no visit came about
	intro     election.Introduction
	link      election.Link
	roundTrip time.Duration // of a call on an open connection, the shortest
}

// examineCertificate judges this node's own certificate as the others would.
func (f *facts) examineCertificate(context.Context) Finding {
	if f.cfg.Keyring == nil {
		return skip("the nodes talk over plain TCP (insecure: true)")
	}
	if unknown := f.unknownSelf(); unknown != nil {
		return *unknown
	}
	keys, err := f.keys()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return skip("this user may not read it: %v: run hacluster doctor as root", err)
	case err != nil:
		return fail(err.Error(), fmt.Sprintf("see 'hacluster tls show %s', and docs/TLS.md", f.cfg.File.TLS.Cert))
	}
	e := keys.Expiry()
	text := fmt.Sprintf("%s, valid until %s", e.Certificate, e.NotAfter.UTC().Format(time.DateTime))
	if time.Until(e.NotAfter) < expiryWarn {
		return warn(text, fmt.Sprintf("make one with 'hacluster tls cert create --node %s' (docs/TLS.md)", f.cfg.File.Node))
	}
	return pass("%s", text)
}

func (f *facts) newCaller() (*election.Visitor, error) {
	keys, err := f.keys()
	if err != nil {
		return nil, err
	}
	cfg := f.cfg.Election
	if keys != nil {
		cfg.Security = keys
	}
	caller := election.NewVisitor(cfg)
	f.opened.Store(caller)
	return caller, nil
}

// visitAll asks all peers at once who they are.
func (f *facts) visitAll(ctx context.Context) []peer {
	ctx, cancel := context.WithTimeout(ctx, peerWithin)
	defer cancel()
	nodes := f.cfg.File.Peers()
	peers := make([]peer, len(nodes))
	var visiting sync.WaitGroup
	for i, node := range nodes {
		visiting.Go(func() { peers[i] = f.visit(ctx, node) })
	}
	visiting.Wait()
	return peers
}

func (f *facts) visit(ctx context.Context, node config.Node) peer {
	p := peer{Node: node}
	caller, err := f.caller()
	if err != nil {
		p.err = knock(ctx, node)
		return p
	}
	for range visits {
		start := time.Now()
		intro, err := caller.Introduce(ctx, node.Name)
		if err != nil {
			p.err = err
			break
		}
		if took := time.Since(start); p.roundTrip == 0 || took < p.roundTrip {
			p.roundTrip = took
		}
		p.intro = intro
	}
	p.link, _ = caller.Link(node.Name)
	return p
}

// errOnlyKnocked means that a peer takes connections, and that this node has nothing to prove itself with.
var errOnlyKnocked = errors.New("it takes connections; TLS was not tried, because this node's certificate cannot be used (certificate)")

// knock tries the port without TLS.
func knock(ctx context.Context, node config.Node) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", node.Address.String())
	if err != nil {
		return err
	}
	return errors.Join(errOnlyKnocked, conn.Close())
}

func (f *facts) examinePeers(context.Context) []Finding {
	if alone := f.alone(); alone != nil {
		return []Finding{*alone}
	}
	var found []Finding
	for _, p := range f.peers() {
		found = append(found, f.judgePeer(p).about(p.Name))
	}
	return found
}

// alone says why there is nobody to look at, if that is so.
func (f *facts) alone() *Finding {
	if unknown := f.unknownSelf(); unknown != nil || len(f.cfg.File.Peers()) > 0 {
		return unknown
	}
	nobody := skip("no other node is known")
	return &nobody
}

func (f *facts) judgePeer(p peer) Finding {
	if p.err != nil {
		return explainPeer(p)
	}
	text := fmt.Sprintf("%s answers within %v", p.Address, short(p.roundTrip))
	// What was found when a node started differs from what is found now.
	if names := f.nodeNames(); f.cfg.File.Discovery == nil && !slices.Equal(p.intro.Peers, names) {
		return warn(fmt.Sprintf("its configuration has the nodes %s, this one has %s", strings.Join(p.intro.Peers, ", "), strings.Join(names, ", ")),
			"ship the same file to every node, and restart the agents one after the other")
	}
	if p.link.TLS == nil || len(p.link.TLS.PeerCertificates) == 0 {
		return pass("%s, over plain TCP", text)
	}
	end := p.link.TLS.PeerCertificates[0].NotAfter
	text += ", its certificate is valid until " + end.UTC().Format(time.DateTime)
	if time.Until(end) < expiryWarn {
		return warn(text, fmt.Sprintf("make one with 'hacluster tls cert create --node %s' (docs/TLS.md)", p.Name))
	}
	return pass("%s", text)
}

func (f *facts) nodeNames() []string {
	var names []string
	for _, n := range f.cfg.File.Nodes {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

// explainPeer says what it means that a visit did not come about.
func explainPeer(p peer) Finding {
	var answered *election.CallError
	var refused *keyring.Refusal
	var alert *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(p.err, errOnlyKnocked):
		return skip("%v", errOnlyKnocked)
	case errors.As(p.err, &answered):
		return fail(fmt.Sprintf("%s: %s", p.Address, answered.Message), "correct the address, or cluster.name and node, on the side that is wrong")
	case errors.As(p.err, &alert) && alert.Op == "remote error":
		return fail(fmt.Sprintf("%s refuses this node's certificate (%v)", p.Address, alert.Err), "its log says why; make both certificates with the same authority")
	case errors.As(p.err, &refused):
		return fail(fmt.Sprintf("%s: %v", p.Address, refused), "see 'hacluster tls show' on both nodes, and docs/TLS.md")
	case errors.Is(p.err, syscall.ECONNREFUSED):
		return warn(fmt.Sprintf("the machine answers, and nothing listens at %s", p.Address), fmt.Sprintf("start the agent of %s", p.Name))
	case errors.Is(p.err, context.DeadlineExceeded), errors.As(p.err, &timeout) && timeout.Timeout():
		return fail(fmt.Sprintf("nothing comes back from %s", p.Address), fmt.Sprintf("is %s up? Then let TCP port %d through between the nodes: "+
			"security group, network ACL, nftables on both", p.Name, p.Address.Port()))
	default:
		return fail(fmt.Sprintf("%s: %v", p.Address, p.err), "correct the address, or the routes between the nodes")
	}
}

// examineTiming compares the round trips with the times that have to hold several of them.
func (f *facts) examineTiming(context.Context) []Finding {
	var slowest peer
	for _, p := range f.peers() {
		if p.err == nil && p.roundTrip > slowest.roundTrip {
			slowest = p
		}
	}
	if slowest.roundTrip == 0 {
		return []Finding{skip("not known: no peer answers")}
	}
	return f.judgeTiming(slowest.Name, slowest.roundTrip)
}

func (f *facts) judgeTiming(name string, trip time.Duration) []Finding {
	file := f.cfg.File
	text := fmt.Sprintf("a round trip to %s takes %v", name, short(trip))
	const remedy = "use profile: default, or raise the value (docs/TIMING.md)"
	var found []Finding
	// An idle leader's heartbeats are a tenth to a fifth of the time-out apart; what is left of the age is for the way there and back.
	if spare := file.Raft.EvidenceMaxAge - file.Raft.HeartbeatTimeout/5; trip > spare/2 {
		found = append(found, warn(fmt.Sprintf("%s: raft.evidence_max_age %v leaves too little for that, and calls to EC2 will be held back", text,
			file.Raft.EvidenceMaxAge), remedy))
	}
	if wait := file.EIP.ReleaseWait; wait > 0 && 2*trip > wait {
		found = append(found, warn(fmt.Sprintf("%s: with eip.release_wait %v a new leader seldom hears the former holder's word in time", text, wait), remedy))
	}
	if len(found) == 0 {
		found = append(found, pass("%s; the timings of profile %s leave room for it", text, file.Profile))
	}
	return found
}
