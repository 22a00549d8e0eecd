package costs

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/host"
)

const (
	roleMaster = "Master"
	roleBackup = "Backup"

	procDir = "/proc"
	// steadyLimit is how long a cluster may take to come up, or to come back after a restart.
	steadyLimit = time.Minute
	// askEvery is the pause between two looks at whether an agent has ended.
	askEvery = 5 * time.Millisecond
)

// metadataAddress is where EC2 instances find their metadata.
var metadataAddress = netip.AddrFrom4([4]byte{169, 254, 169, 254})

// ErrRestless means that the cluster did not stay as it was, so that no idle cluster was measured.
var ErrRestless = errors.New("the cluster was not idle: run it again on a quieter machine")

// Options say what to measure.
type Options struct {
	Dir string // of the lab
	// Calm is the wait between the first moment of peace and the measurement: a fresh Master reads EC2 more often.
	Calm     time.Duration
	Duration time.Duration
	Starts   int          // how often to measure a start
	Say      func(string) // is told each step
}

// meter measures one profile.
type meter struct {
	lab      *lab.Lab
	opts     Options
	programs map[string][]string // command lines of the agents, by node
	counters map[string]*counter
}

// Measure reboots the lab with a profile of hacluster's configuration ("default": none is named in it), waits until nothing
// happens any more, and measures.
func Measure(ctx context.Context, l *lab.Lab, profile string, opts Options) (Profile, error) {
	m := &meter{lab: l, opts: opts, programs: make(map[string][]string), counters: make(map[string]*counter)}
	opts.Say("starting all nodes with profile " + profile)
	if err := m.boot(profile); err != nil {
		return Profile{}, err
	}
	p := Profile{Name: profile}
	err := m.counting(ctx, func(ctx context.Context) error { return m.idle(ctx, &p) })
	if err == nil {
		err = m.starts(ctx, &p)
	}
	if err != nil {
		return Profile{}, fmt.Errorf("measure profile %s: %w", profile, err)
	}
	return p, nil
}

func (m *meter) boot(profile string) error {
	setup := lab.Setup{Name: profile, Profile: profile, TLS: true}
	if profile == "default" {
		setup.Profile = ""
	}
	return m.lab.Reboot(func(n *lab.Node) ([]lab.Program, error) {
		program, err := n.Hacluster(setup)
		m.programs[n.Name] = program.Argv
		return []lab.Program{program}, err
	})
}

// counting counts packets while use runs.
func (m *meter) counting(ctx context.Context, use func(context.Context) error) (err error) {
	defer func() {
		for _, c := range m.counters {
			err = errors.Join(err, c.close())
		}
	}()
	for _, n := range m.lab.Nodes() {
		cloud := []netip.Addr{lab.EC2Path(n.Name).Router, metadataAddress}
		if m.counters[n.Name], err = openCounter(n.Name, m.peers(n), cloud); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range m.counters {
		group.Go(func() error { return c.run(ctx) })
	}
	group.Go(func() error {
		defer cancel()
		return use(ctx)
	})
	return group.Wait()
}

func (m *meter) peers(n *lab.Node) []netip.Addr {
	var peers []netip.Addr
	for _, other := range m.lab.Nodes() {
		if other != n {
			peers = append(peers, lab.NodeAddress(other.Name))
		}
	}
	return peers
}

// idle takes the counters twice and makes sure that nothing happened in between.
func (m *meter) idle(ctx context.Context, p *Profile) error {
	before, err := m.lab.AwaitSteady(ctx, steadyLimit)
	if err != nil {
		return fmt.Errorf("wait for a steady cluster: %w", err)
	}
	if err := pause(ctx, m.opts.Calm); err != nil {
		return err
	}
	first, machineFirst, err := m.sampleAll(ctx)
	if err != nil {
		return err
	}
	m.opts.Say(fmt.Sprintf("measuring %v of peace", m.opts.Duration))
	if err := pause(ctx, m.opts.Duration); err != nil {
		return err
	}
	second, machineSecond, err := m.sampleAll(ctx)
	if err != nil {
		return err
	}
	after, err := m.lab.AwaitSteady(ctx, steadyLimit)
	if err == nil && (after.Term != before.Term || after.Holder != before.Holder) {
		err = fmt.Errorf("%s held the address in term %d, %s in term %d", before.Holder, before.Term, after.Holder, after.Term)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRestless, err)
	}
	p.Busy, p.Stolen = strain(machineFirst, machineSecond)
	for i, n := range m.lab.Nodes() {
		costs := between(first[i], second[i])
		costs.Name, costs.Role = n.Name, roleBackup
		if n.Name == after.Holder {
			costs.Role = roleMaster
		}
		p.Nodes = append(p.Nodes, costs)
		p.Seconds = second[i].at.Sub(first[i].at).Seconds()
	}
	return nil
}

func (m *meter) sampleAll(ctx context.Context) ([]sample, machineTime, error) {
	calls, err := m.calls()
	if err != nil {
		return nil, machineTime{}, err
	}
	var samples []sample
	for _, n := range m.lab.Nodes() {
		s, err := m.sample(ctx, n)
		if err != nil {
			return nil, machineTime{}, fmt.Errorf("read counters of %s: %w", n.Name, err)
		}
		s.calls = calls[n.Instance]
		samples = append(samples, s)
	}
	machine, err := readMachine(procDir)
	return samples, machine, err
}

// sample asks for the status first: that costs the agent something too, which must not fall into the time measured twice.
func (m *meter) sample(ctx context.Context, n *lab.Node) (sample, error) {
	status, err := n.Status(ctx)
	if err != nil {
		return sample{}, err
	}
	log, err := os.ReadFile(n.LogPath())
	if err != nil {
		return sample{}, err
	}
	pid, err := findProcess(procDir, m.programs[n.Name]...)
	if err != nil {
		return sample{}, err
	}
	counters, err := readProcess(procDir, pid)
	return sample{
		at: time.Now(), process: counters, flows: m.counters[n.Name].read(),
		applied: status.AppliedIndex, lines: bytes.Count(log, []byte("\n")),
	}, err
}

// calls counts the calls in EC2's log, by instance and action.
func (m *meter) calls() (map[string]map[string]int, error) {
	file, err := os.Open(filepath.Join(m.opts.Dir, lab.CallsFile))
	if err != nil {
		return nil, fmt.Errorf("read EC2's log: %w", err)
	}
	defer file.Close()
	return countCalls(file)
}

func countCalls(log io.Reader) (map[string]map[string]int, error) {
	counts := make(map[string]map[string]int)
	dec := json.NewDecoder(log)
	for {
		var call ec2fake.Call
		switch err := dec.Decode(&call); {
		case errors.Is(err, io.EOF):
			return counts, nil
		case err != nil:
			return nil, fmt.Errorf("read EC2's log: %w", err)
		}
		if counts[call.Instance] == nil {
			counts[call.Instance] = make(map[string]int)
		}
		counts[call.Instance][call.Action]++
	}
}

// starts measures how long the agent of a Backup takes to be one again after an orderly stop.
func (m *meter) starts(ctx context.Context, p *Profile) error {
	i := slices.IndexFunc(p.Nodes, func(n Node) bool { return n.Role == roleBackup })
	if i < 0 {
		return errors.New("no node is Backup")
	}
	n := m.lab.Nodes()[i]
	m.opts.Say(fmt.Sprintf("starting the agent of %s %d times", n.Name, m.opts.Starts))
	asked := time.Now()
	if _, err := n.Status(ctx); err != nil {
		return err
	}
	p.AskMS = milliseconds(time.Since(asked))
	for range m.opts.Starts {
		if err := stop(ctx, n); err != nil {
			return err
		}
		took, err := start(ctx, n)
		if err != nil {
			return err
		}
		p.Starts = append(p.Starts, milliseconds(took))
		if _, err := m.lab.AwaitSteady(ctx, steadyLimit); err != nil {
			return fmt.Errorf("wait for %s after its start: %w", n.Name, err)
		}
	}
	return nil
}

func stop(ctx context.Context, n *lab.Node) error {
	ctx, cancel := context.WithTimeout(ctx, steadyLimit)
	defer cancel()
	if _, err := n.Signal(lab.Agent, host.Leader, syscall.SIGTERM); err != nil {
		return err
	}
	for {
		running, err := n.Running(lab.Agent)
		if err != nil || !running {
			return err
		}
		if err := pause(ctx, askEvery); err != nil {
			return fmt.Errorf("wait for the end of %s's agent: %w", n.Name, err)
		}
	}
}

// start asks for the status without a pause in between: an answer takes long enough.
func start(ctx context.Context, n *lab.Node) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, steadyLimit)
	defer cancel()
	began := time.Now()
	if err := n.Start(lab.Agent); err != nil {
		return 0, err
	}
	for {
		status, err := n.Status(ctx)
		if err == nil && status.State == roleBackup && status.Leader != "" {
			return time.Since(began), nil
		}
		if ctx.Err() != nil {
			return 0, errors.Join(fmt.Errorf("wait for %s to be Backup: %w", n.Name, ctx.Err()), err)
		}
	}
}

// ReadProgram measures the file of a program.
func ReadProgram(path string) (Program, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Program{}, fmt.Errorf("measure program: %w", err)
	}
	file, err := elf.Open(path)
	if err != nil {
		return Program{}, fmt.Errorf("measure program %s: %w", path, err)
	}
	defer file.Close()
	return Program{Bytes: info.Size(), Stripped: file.Section(".symtab") == nil}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
