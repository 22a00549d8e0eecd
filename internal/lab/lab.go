package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
	// Nodes is the size of the cluster: 3 (default) to 5.
	Nodes int
	// Spares of the Nodes, the last ones, are machines that are off and no members yet: see Node.Spare and Lab.PowerOn.
	Spares int
	// Disk, if not zero, gives each node a disk of its own, in memory, of so many bytes. Otherwise it is a directory in Dir.
	Disk int64
	// Record keeps all client requests and all VRRP packets in files in Dir: RequestsFile and PacketsFile.
	Record bool
	// Tuning is for what is rare with hacluster's defaults.
	Tuning Tuning
	// Programs says what a node runs beside HAProxy; nil: the agent, if there is a program for it.
	Programs func(*Node) ([]Program, error)
}

// Tuning changes a few settings of the agents; zero: hacluster's default.
type Tuning struct {
	ObserveInterval   time.Duration // eip.observe_interval
	SnapshotThreshold int           // raft.snapshot_threshold and raft.trailing_logs, in log entries
}

// The files in Options.Dir that hold evidence. Agents' logs are in directories of the nodes' names.
const (
	CallsFile    = "ec2.jsonl"      // one ec2fake.Call a line
	RequestsFile = "requests.jsonl" // one probe.Result a line
	PacketsFile  = "vrrp.pcap"
)

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
	files   []*os.File
	say     func(string)

	bootCall int64 // the number of the last call before Reboot
}

// Run brings a lab up, calls use, and takes the lab down when that returns. The context of use ends early when a part of
// the lab breaks.
func Run(ctx context.Context, opts Options, use func(context.Context, *Lab) error) (err error) {
	l := &Lab{dir: opts.Dir, probes: &probe.Log{}, say: opts.Progress}
	if l.say == nil {
		l.say = func(string) {}
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.build(opts); err != nil {
		return fmt.Errorf("bring the lab up: %w", err)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.cloud.serve(ctx) })
	group.Go(func() error { return l.capture.Run(ctx) })
	group.Go(func() error { return l.probes.Run(ctx, l.client.Conn()) })
	group.Go(func() error {
		defer cancel()
		for _, n := range l.members() {
			l.say(fmt.Sprintf("starting %s (%s): HAProxy and agent", n.Name, n.Address.Addr()))
			if err := n.powerOn(l.network); err != nil {
				return err
			}
		}
		return use(ctx, l)
	})
	return errors.Join(group.Wait(), l.cloud.broken())
}

// build makes everything but the nodes' machines and the client, which need EC2 to be served.
func (l *Lab) build(opts Options) error {
	opts.Nodes = cmp.Or(opts.Nodes, fewestNodes)
	if opts.Nodes < fewestNodes || opts.Nodes > mostNodes {
		return fmt.Errorf("%d nodes: choose %d to %d", opts.Nodes, fewestNodes, mostNodes)
	}
	if opts.Nodes-opts.Spares < fewestNodes {
		return fmt.Errorf("%d of %d nodes are spare: a cluster begins with at least %d", opts.Spares, opts.Nodes, fewestNodes)
	}
	bins, err := findBinaries(opts.Hacluster)
	if err != nil {
		return err
	}
	if l.dir, err = filepath.Abs(opts.Dir); err != nil {
		return err
	}
	if strings.HasPrefix(l.dir, "/run/") {
		return fmt.Errorf("directory %s: hosts have a /run of their own: choose another", l.dir)
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	l.say("making a switch, an internet gateway and an EC2 endpoint")
	gateway, err := l.buildNetwork()
	if err != nil {
		return err
	}
	calls, err := l.create(CallsFile)
	if err != nil {
		return err
	}
	if opts.Record {
		if err := l.record(); err != nil {
			return err
		}
	}
	sites := nodeSites(opts.Nodes)
	if l.cloud, err = newCloud(sites, gateway, calls, filepath.Join(l.dir, caFile)); err != nil {
		return err
	}
	for i, s := range sites {
		node, err := newNode(s, sites, opts, bins)
		if err != nil {
			return err
		}
		node.Spare = i >= opts.Nodes-opts.Spares
		l.nodes = append(l.nodes, node)
	}
	l.say(fmt.Sprintf("starting %d web servers", webServers))
	return l.startWebServers()
}

// create makes a file in the lab's directory that is closed with the lab.
func (l *Lab) create(name string) (*os.File, error) {
	file, err := os.Create(filepath.Join(l.dir, name))
	if err == nil {
		l.files = append(l.files, file)
	}
	return file, err
}

// record makes the witnesses write down everything as it comes.
func (l *Lab) record() error {
	requests, err := l.create(RequestsFile)
	if err != nil {
		return err
	}
	packets, err := l.create(PacketsFile)
	if err != nil {
		return err
	}
	l.probes.Save(requests)
	return l.capture.Save(packets)
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
		errs = append(errs, n.powerOff(), n.removeDisk())
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
	for _, file := range l.files {
		errs = append(errs, file.Close())
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

// members returns the nodes that are not spare.
func (l *Lab) members() []*Node {
	return slices.DeleteFunc(slices.Clone(l.nodes), func(n *Node) bool { return n.Spare })
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
