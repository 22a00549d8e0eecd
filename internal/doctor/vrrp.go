package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/controller"
)

const (
	// vrrpNoise is what a busy machine may add to three intervals before an advert counts as missing.
	vrrpNoise = time.Second
	// vrrpAtMost bounds how long adverts are waited for. Those of an interval above a second or so are beyond it.
	vrrpAtMost = 4 * time.Second
	protocol   = "ip4:112"

	vrrpRemedy = "let IP protocol 112 through between the nodes, both ways: security group (protocol 112), network ACL, nftables on both"
)

// ears is what this node hears: of its agent, or of a socket of our own.
type ears struct {
	state controller.State // empty: no agent runs here
	heard controller.Heard
	err   error // nothing can be heard
}

// examineVRRP finds out whether adverts pass between this node and each other. Only a Master advertises, so what passes is known only from
// and to nodes that are, or were since the listening agent started. No probe is sent: on the wire everything means something.
func (f *facts) examineVRRP(ctx context.Context) []Finding {
	if f.cfg.File.Self().Witness && !f.cfg.File.Raft.Hints {
		return []Finding{skip("a witness without hints takes no part")}
	}
	if alone := f.alone(); alone != nil {
		return append(f.notices(), *alone)
	}
	verdicts := f.judgeWires(ctx)
	_, noAgent := f.agent()
	failed := slices.ContainsFunc(verdicts, func(v Finding) bool { return v.Status == Fail })
	if failed && noAgent == nil && f.wait(ctx) { // a node that has only just become Master may not have begun
		if again := f.judgeWires(ctx); ctx.Err() == nil {
			verdicts = again
		}
	}
	return append(f.notices(), verdicts...)
}

// judgeWires looks once at the ways between this node and each other. It asks first and listens then: a node that has said
// that it is Master was so all the while.
func (f *facts) judgeWires(ctx context.Context) []Finding {
	peers := slices.Clone(f.peers())
	theirs := make([]controller.Heard, len(peers))
	var asking sync.WaitGroup
	for i := range peers {
		if p := &peers[i]; p.err == nil {
			asking.Go(func() { theirs[i], p.err = f.ask(ctx, p.Name) })
		}
	}
	asking.Wait()
	mine := f.listen(ctx)
	var verdicts []Finding
	for i, p := range peers {
		verdicts = append(verdicts, f.judgeWire(p, mine, theirs[i]).about(p.Name))
	}
	return verdicts
}

// silence is how long the adverts of a Master may stay away.
func (f *facts) silence() time.Duration { return 3*f.cfg.File.VRRP.AdvertisementInterval + vrrpNoise }

func (f *facts) wait(ctx context.Context) bool {
	select {
	case <-time.After(min(f.silence(), vrrpAtMost)):
		return true
	case <-ctx.Done():
		return false
	}
}

// ask asks a peer what it hears.
func (f *facts) ask(ctx context.Context, name string) (controller.Heard, error) {
	caller, err := f.caller()
	if err != nil {
		return controller.Heard{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, peerWithin)
	defer cancel()
	var heard controller.Heard
	err = caller.Call(ctx, name, controller.HeardPath, nil, &heard)
	return heard, err
}

// judgeWire judges both directions between this node and a peer.
func (f *facts) judgeWire(p peer, mine ears, theirs controller.Heard) Finding {
	if p.err != nil {
		return skip("not known: %s does not say what it hears (peers)", p.Name)
	}
	self := f.cfg.File.Self()
	in := f.judgeWay(direction{what: "its adverts come here", missing: fmt.Sprintf("%s is Master, and its adverts do not come here", p.Name),
		master: theirs.State == controller.Master, from: p.VRRPAddress, listens: mine.err == nil, heard: mine.heard})
	out := f.judgeWay(direction{what: "it hears the adverts of this node", missing: fmt.Sprintf("this node is Master, and %s does not hear its adverts", p.Name),
		master: mine.state == controller.Master, from: self.VRRPAddress, listens: theirs.Listens, heard: theirs})
	switch {
	case in.Status == Fail:
		return in
	case out.Status == Fail:
		return out
	case in.Status == Skip && out.Status == Skip && mine.err != nil:
		return skip("not known: %v", mine.err)
	case in.Status == Skip && out.Status == Skip:
		return skip("not known as long as neither of the two is Master")
	case out.Status == Skip:
		return pass("%s; the other way is not known before this node is Master", in.Text)
	case in.Status == Skip:
		return pass("%s; the other way is not known before %s is Master", out.Text, p.Name)
	}
	return pass("%s, and %s", in.Text, out.Text)
}

// direction is one way between two nodes.
type direction struct {
	what, missing string
	master        bool // the sender advertises now
	from          netip.Addr
	listens       bool // the receiver can tell
	heard         controller.Heard
}

func (f *facts) judgeWay(d direction) Finding {
	last, ever := d.heard.From(d.from)
	switch {
	case !d.listens:
		return skip("not known")
	case d.master && (!ever || last.Age() > f.silence()):
		return fail(d.missing, vrrpRemedy)
	case ever:
		return pass("%s", d.what)
	default:
		return skip("not known")
	}
}

// listen asks the agent what it hears, or listens for a while if there is none.
func (f *facts) listen(ctx context.Context) ears {
	if status, err := f.askAgent(ctx); err == nil {
		return earsOf(status)
	}
	heard, err := f.listenAlone(ctx)
	return ears{heard: heard, err: err}
}

func earsOf(s adminapi.Status) ears {
	e := ears{state: controller.State(s.State)}
	if s.VRRP == nil {
		e.err = errors.New("the agent has no socket for VRRP")
		return e
	}
	e.heard = controller.Heard{State: e.state, Listens: true}
	for _, sender := range s.VRRP.Senders {
		from, err := netip.ParseAddr(sender.Address)
		if err == nil && sender.Last != nil {
			e.heard.Adverts = append(e.heard.Adverts, controller.HeardAdverts{From: from, Count: sender.Adverts, AgeMS: sender.Last.AgeMS})
		}
	}
	return e
}

// listenAlone hears what a running agent would, behind the packet filter of this machine.
func (f *facts) listenAlone(ctx context.Context) (controller.Heard, error) {
	heard := controller.Heard{Listens: true}
	conn, err := new(net.ListenConfig).ListenPacket(ctx, protocol, f.cfg.File.Self().VRRPAddress.String())
	if err != nil {
		return heard, fmt.Errorf("no agent runs here, and this user cannot listen: run hacluster doctor as root: %w", err)
	}
	defer conn.Close()
	until := time.Now().Add(min(f.silence(), vrrpAtMost))
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	if err := conn.SetReadDeadline(until); err != nil {
		return heard, err
	}
	counts := map[netip.Addr]uint64{}
	packet := make([]byte, 256)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			break // the deadline, mostly; what was heard before counts
		}
		ip, ok := from.(*net.IPAddr)
		if ok && n >= 2 && int(packet[1]) == f.cfg.File.VRRP.VirtualRouterID {
			if address, ok := netip.AddrFromSlice(ip.IP); ok {
				counts[address.Unmap()]++
			}
		}
	}
	for from, count := range counts {
		heard.Adverts = append(heard.Adverts, controller.HeardAdverts{From: from, Count: count})
	}
	return heard, nil
}

// notices passes on what the agent has noticed on the wire lately.
func (f *facts) notices() []Finding {
	s, err := f.agent()
	if err != nil || s.VRRP == nil {
		return nil
	}
	var found []Finding
	for _, n := range s.VRRP.Notices {
		found = append(found, warn(n.Text, "see docs/VRRP.md").about(n.Address))
	}
	return found
}
