package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

// Options describe the lab to bring up.
type Options struct {
	// Hacluster is the path of the program under test; empty: nodes without an agent.
	Hacluster string
	// Dir is where logs, captures and the nodes' disks go. Not below /run: hosts have their own.
	Dir string
	// Progress is called with one line for each step; nil: nobody is told.
	Progress func(string)
}

// Lab is a running lab. It lives in the namespaces of this process; see package sandbox.
type Lab struct {
	dir     string
	network *vnet.Switch
	cloud   *cloud
	capture *capture.Recorder
	probes  *probe.Log
	nodes   []*Node
	client  *host.Host
	others  []*host.Host // web servers and the client
	say     func(string)
}

// Run brings a lab up, calls use, and takes the lab down when that returns. The context of use ends early when a part of
// the lab breaks.
func Run(ctx context.Context, opts Options, use func(context.Context, *Lab) error) (err error) {
	l := &Lab{dir: opts.Dir, probes: &probe.Log{}, say: opts.Progress}
	if l.say == nil {
		l.say = func(string) {}
	}
	defer func() { err = errors.Join(err, l.close()) }()
	events, err := l.build(opts)
	if err != nil {
		return fmt.Errorf("bring the lab up: %w", err)
	}
	defer events.Close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.cloud.serve(ctx) })
	group.Go(func() error { return l.capture.Run(ctx) })
	group.Go(func() error { return l.probes.Run(ctx, l.client.Conn()) })
	group.Go(func() error {
		defer cancel()
		for _, n := range l.nodes {
			l.say(fmt.Sprintf("starting %s (%s): HAProxy and agent", n.Name, n.Address.Addr()))
			if err := n.powerOn(l.network); err != nil {
				return err
			}
		}
		return use(ctx, l)
	})
	return errors.Join(group.Wait(), l.cloud.broken())
}

// build makes everything but the nodes' machines and the client, which need EC2 to be served. The file is EC2's log.
func (l *Lab) build(opts Options) (*os.File, error) {
	bins, err := findBinaries(opts.Hacluster)
	if err != nil {
		return nil, err
	}
	if l.dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, err
	}
	if strings.HasPrefix(l.dir, "/run/") {
		return nil, fmt.Errorf("directory %s: hosts have a /run of their own: choose another", l.dir)
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, err
	}
	l.say("making a switch, an internet gateway and an EC2 endpoint")
	gateway, err := l.buildNetwork()
	if err != nil {
		return nil, err
	}
	events, err := os.Create(filepath.Join(l.dir, "ec2.jsonl"))
	if err != nil {
		return nil, err
	}
	sites := nodeSites()
	if l.cloud, err = newCloud(sites, gateway, events); err != nil {
		return events, err
	}
	for _, s := range sites {
		node, err := newNode(s, sites, l.dir, bins)
		if err != nil {
			return events, err
		}
		l.nodes = append(l.nodes, node)
	}
	l.say(fmt.Sprintf("starting %d web servers", webServers))
	return events, l.startWebServers()
}

func (l *Lab) buildNetwork() (*vnet.Gateway, error) {
	var addresses []netip.Prefix
	for _, a := range []string{routerAddress, ec2Address, imdsAddress} {
		addresses = append(addresses, netip.MustParsePrefix(a))
	}
	var err error
	if l.network, err = vnet.NewSwitch(addresses...); err != nil {
		return nil, err
	}
	if l.capture, err = capture.Open(l.network.Index()); err != nil {
		return nil, err
	}
	if err := l.startClient(); err != nil {
		return nil, err
	}
	return vnet.NewGateway(netip.MustParseAddr(ElasticIP), netip.MustParsePrefix(clientAddress).Masked())
}

func (l *Lab) startWebServers() error {
	for _, s := range webSites() {
		web, err := l.startHost(host.Spec{Name: s.Name, Role: roleWeb, Args: []string{s.Name}})
		if err != nil {
			return err
		}
		if err := l.network.Attach(web.Pid(), s.plug()); err != nil {
			return err
		}
	}
	return nil
}

// startClient plugs the client in on the internet's side of the gateway. Its requests begin at once.
func (l *Lab) startClient() error {
	var err error
	l.client, err = l.startHost(host.Spec{Name: clientName, Role: roleClient, Args: []string{ElasticIP + ":80"}})
	if err != nil {
		return err
	}
	return vnet.AttachUplink(l.client.Pid(), vnet.Plug{
		Address: netip.MustParsePrefix(clientAddress), Gateway: netip.MustParseAddr(uplinkAddress),
	})
}

func (l *Lab) startHost(spec host.Spec) (*host.Host, error) {
	log, err := os.Create(filepath.Join(l.dir, spec.Name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	spec.Log = log
	h, err := host.Start(spec)
	if err != nil {
		return nil, err
	}
	l.others = append(l.others, h)
	return h, nil
}

// close switches everything off and removes the network.
func (l *Lab) close() error {
	var errs []error
	for _, n := range l.nodes {
		errs = append(errs, n.powerOff())
	}
	for _, h := range l.others {
		errs = append(errs, h.Kill())
	}
	if l.cloud != nil {
		errs = append(errs, l.cloud.close())
	}
	if l.capture != nil {
		errs = append(errs, l.capture.Close())
	}
	if l.network != nil {
		errs = append(errs, l.network.Close())
	}
	return errors.Join(errs...)
}

func (l *Lab) node(name string) *Node {
	for _, n := range l.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// peers returns the names of the other nodes of the cluster.
func (l *Lab) peers(n *Node) []string {
	var names []string
	for _, other := range l.nodes {
		if other != n {
			names = append(names, other.Name)
		}
	}
	return names
}
