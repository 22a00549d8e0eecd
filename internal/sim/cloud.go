package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

const (
	cloudIP      = "10.0.255.1"
	cloudAddress = cloudIP + ":80"
	region       = "eu-central-1"
	keyID        = "AKIASIMULATED"
	keySecret    = "simulated"
	strangerIP   = "10.0.200.1" // of a machine of the account that is no node
)

// cloud is the EC2 API: the emulator behind a simulated connection.
type cloud struct {
	world  *World
	fake   *ec2fake.Server
	server *http.Server
	ended  chan struct{}

	mu     sync.Mutex
	calls  []*call
	bySeq  map[int64]*call
	temper Temper
	last   map[fsm.AllocationID]string // association that a person made last
	owners map[string]fsm.AllocationID // by association id
}

func newCloud(w *World) (*cloud, error) {
	c := &cloud{world: w, ended: make(chan struct{}), bySeq: make(map[int64]*call), temper: w.schedule.Temper,
		last: make(map[fsm.AllocationID]string), owners: make(map[string]fsm.AllocationID)}
	cfg := ec2fake.Config{
		Region:     region,
		AccessKeys: []ec2fake.AccessKey{{ID: keyID, Secret: keySecret}},
		FaultsOf:   c.faultsOf, OnChange: c.changed, Log: endOfCalls{c},
	}
	stranger := ec2fake.InstanceSpec{ID: "i-x", ENI: "eni-x"}
	for i, id := range w.schedule.addresses() {
		cfg.Addresses = append(cfg.Addresses, ec2fake.AddressSpec{AllocationID: string(id), PublicIP: netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + i)})})
		stranger.PrivateIPs = append(stranger.PrivateIPs, strangerAddr(i))
	}
	cfg.Instances = append(cfg.Instances, stranger)
	for _, n := range w.nodes {
		instance := ec2fake.InstanceSpec{ID: "i-" + n.name, ENI: n.eni()}
		for _, a := range n.placed() {
			instance.PrivateIPs = append(instance.PrivateIPs, a.Target.PrivateIP)
		}
		cfg.Instances = append(cfg.Instances, instance)
	}
	var err error
	if c.fake, err = ec2fake.New(cfg); err != nil {
		return nil, err
	}
	listener, err := w.net.Boot(cloudIP).Listen(cloudAddress)
	if err != nil {
		return nil, err
	}
	c.server = &http.Server{Handler: c.fake.EC2(), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		}}
	// One request for each connection, so that a connection tells whose call it is.
	c.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(c.ended)
		_ = c.server.Serve(listener) // ends when the server is closed
	}()
	return c, nil
}

type connKey struct{}

// close drops what has not landed yet.
func (c *cloud) close() error {
	err := c.fake.Close()
	_ = c.server.Close()
	<-c.ended
	if err != nil {
		return fmt.Errorf("close EC2: %w", err)
	}
	return nil
}

// actual is where the addresses are, in the order of the schedule, whatever reads say.
func (c *cloud) actual() []ec2fake.AddressState { return c.fake.State().Addresses }

// newCall registers a mutating call before its final check.
func (c *cloud) newCall(made *call) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	made.id = len(c.calls) + 1
	if !made.associate {
		made.address = c.owners[string(made.association)]
	}
	c.calls = append(c.calls, made)
	return made
}

// lifetime is how long a request may be under way before EC2 refuses its signature, scaled with the guard.
func (c *cloud) lifetime() time.Duration {
	s := c.world.schedule
	return s.Guard - s.Temper.Longest - 2*time.Second
}

// faultsOf is the arrival of a request.
func (c *cloud) faultsOf(r *http.Request, received ec2fake.Call) []ec2fake.Fault {
	if !received.Mutating() {
		c.world.coverage.add("EC2: reads and DryRuns")
		return c.drawRead()
	}
	conn, _ := r.Context().Value(connKey{}).(*simnet.Conn)
	made, _ := conn.Tag().(*call)
	if made == nil {
		c.world.accuse("I1", "EC2 receives a call that passed no final check: %s", received.Action)
		return nil
	}
	c.mu.Lock()
	c.bySeq[received.Seq] = made
	c.mu.Unlock()
	now := c.world.elapsed()
	made.mu.Lock()
	made.arrived = true
	age, abandoned := now-made.permitted, made.returned != 0
	made.mu.Unlock()
	faults := c.drawMutating()
	if age > c.lifetime() {
		faults = []ec2fake.Fault{{Kind: ec2fake.ErrorBefore, Code: "RequestExpired", Status: http.StatusBadRequest}}
		c.world.coverage.add("calls: arrived with an expired signature")
	}
	if abandoned {
		c.world.coverage.add("calls: arrived after the caller had given up")
	}
	c.world.trace.add("ec2", "call #%d (%s, term %d) arrives after %.3f s: %s%s", made.id, made.life.node.name, made.term, age.Seconds(), made, describe(faults))
	c.world.director.happened(OnArrival, made.life.node)
	return faults
}

func describe(faults []ec2fake.Fault) string {
	text := ""
	for _, f := range faults {
		text += fmt.Sprintf("; %s", f.Kind)
		if f.Delay > 0 {
			text += " " + time.Duration(f.Delay).String()
		}
	}
	return text
}

// changed is an effect. It runs under the emulator's lock, so effects come in their order.
func (c *cloud) changed(ch ec2fake.Change) {
	w := c.world
	c.mu.Lock()
	made := c.bySeq[ch.Seq]
	c.owners[ch.NewAssociationID] = fsm.AllocationID(ch.AllocationID)
	c.mu.Unlock()
	if made == nil {
		w.trace.add("ec2", "a person: %s", moved(ch))
		w.judge.Changed(0, ch.OldAssociationID, ch.NewAssociationID)
		return
	}
	late := w.judge.Late(made.id)
	w.trace.add("ec2", "call #%d (%s, term %d) %s: %s%s", made.id, made.life.node.name, made.term, made, moved(ch), c.lateness(made, late))
	w.judge.Changed(made.id, ch.OldAssociationID, ch.NewAssociationID)
	w.coverage.add("calls: changed the association")
	if late {
		w.coverage.add(lateChanged)
	}
	w.director.happened(OnChange, made.life.node)
}

// What a run must have seen, or it proves nothing.
const (
	lateChanged = "late calls: changed something (allowed: nothing newer was displaced)"
	lateFenced  = "late calls: fenced, without effect"
)

func moved(ch ec2fake.Change) string {
	show := func(id string, ip netip.Addr) string {
		if id == "" {
			return "free"
		}
		return fmt.Sprintf("%s at %s", short(id), ip)
	}
	return show(ch.OldAssociationID, ch.OldPrivateIP) + " -> " + show(ch.NewAssociationID, ch.NewPrivateIP)
}

// short keeps what tells association ids apart.
func short(id string) string {
	const enough = len("eipassoc-") + 6
	return id[:min(len(id), enough)]
}

func (c *cloud) lateness(made *call, late bool) string {
	made.mu.Lock()
	defer made.mu.Unlock()
	text := ""
	if late {
		text = ", LATE: the claim is over"
	}
	if made.returned != 0 {
		text += fmt.Sprintf(" (the caller gave up %.3f s ago)", (c.world.elapsed() - made.returned).Seconds())
	}
	return text
}

// endOfCalls learns from the emulator's log that it has done with a call.
type endOfCalls struct{ cloud *cloud }

// Write implements io.Writer.
func (e endOfCalls) Write(line []byte) (int, error) {
	c := e.cloud
	var done struct {
		Seq     int64  `json:"seq"`
		Action  string `json:"action"`
		Code    string `json:"code"`
		Changed bool   `json:"changed"`
		DryRun  bool   `json:"dry_run"`
	}
	if err := json.Unmarshal(line, &done); err != nil {
		return 0, err
	}
	c.mu.Lock()
	made := c.bySeq[done.Seq]
	c.mu.Unlock()
	if made == nil {
		return len(line), nil
	}
	made.mu.Lock()
	made.over = true
	made.mu.Unlock()
	if !done.Changed {
		late := c.world.judge.Late(made.id)
		c.world.trace.add("ec2", "call #%d (%s, term %d) %s: no effect (%s)%s", made.id, made.life.node.name, made.term, made, done.Code, c.lateness(made, late))
		if late {
			c.world.coverage.add(lateFenced)
		}
	}
	return len(line), nil
}

// quiet reports whether no call is under way that may still have an effect.
func (c *cloud) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.world.elapsed()
	for _, made := range c.calls {
		if made.inTheAir(now, c.lifetime()) {
			return false
		}
	}
	return true
}

func strangerAddr(i int) netip.Addr { return placeOf(netip.MustParseAddr(strangerIP), i) }

// personAssociates moves an address as somebody at the console would.
func (c *cloud) personAssociates(address fsm.AllocationID, ip netip.Addr) {
	id, err := c.fake.Associate(string(address), ip)
	if err != nil {
		panic("the account has no such machine: " + err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[address] = id
}

// madeByPerson reports whether an association is the last one that a person made of an address.
func (c *cloud) madeByPerson(address fsm.AllocationID, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return id != "" && c.last[address] == id
}
