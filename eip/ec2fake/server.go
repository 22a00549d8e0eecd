package ec2fake

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Server is the emulated account. Its handlers are to be served by HTTP/1.1 servers of the caller; it starts nothing
// itself, except for effects that a fault delays beyond their request, which Close ends.
type Server struct {
	cfg     Config
	faults  faultSet
	buckets buckets
	calls   callLog
	keys    *keyring
	tokens  tokens

	// effects is held while an association is changed and OnChange runs: it gives changes their order.
	effects sync.Mutex
	// mu guards account only, so that OnChange may read the state.
	mu      sync.Mutex
	account account

	closing sync.RWMutex // held for reading while pending is raised
	closed  chan struct{}
	pending sync.WaitGroup
}

// New makes a Server. All that is wrong with cfg is reported at once.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("make EC2 emulator: %w", err)
	}
	cfg = cfg.withDefaults()
	return &Server{
		cfg:     cfg,
		buckets: buckets{levels: make(map[string]level)},
		calls:   callLog{out: cfg.Log},
		keys:    newKeyring(cfg.AccessKeys),
		tokens:  tokens{issued: make(map[string]token)},
		account: newAccount(cfg),
		closed:  make(chan struct{}),
	}, nil
}

// Close drops effects that have not landed yet, waits for their goroutines, and returns the first error of writing the log.
func (s *Server) Close() error {
	s.closing.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.closing.Unlock()
	s.pending.Wait()
	return s.calls.writeError()
}

// later runs f on its own goroutine, unless the Server is closed.
func (s *Server) later(f func()) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	select {
	case <-s.closed:
	default:
		s.pending.Go(f)
	}
}

// wait waits for d of real time. It returns false if the Server was closed meanwhile.
func (s *Server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closed:
		return false
	}
}

// SetFaults replaces the faults in force; nil heals.
func (s *Server) SetFaults(faults []Fault) error { return s.faults.replace(faults) }

// StaleCredentials makes the instance metadata hand out role credentials that have ended, as it does when nobody could renew them; false
// ends that. Those handed out before stay as they are.
func (s *Server) StaleCredentials(yes bool) { s.keys.setStale(yes) }

// Calls returns the calls with numbers above since, oldest first, those still being worked on included.
func (s *Server) Calls(since int64) []Call { return s.calls.since(since) }

// AddressState is the true state of one Elastic IP. AssociationID is empty if it is free.
type AddressState struct {
	AllocationID  string     `json:"allocation_id"`
	PublicIP      netip.Addr `json:"public_ip"`
	AssociationID string     `json:"association_id,omitempty"`
	PrivateIP     netip.Addr `json:"private_ip,omitzero"`
	Instance      string     `json:"instance,omitempty"`
	ENI           string     `json:"eni,omitempty"`
}

// State is the true state of the account, whatever faults say to its callers.
type State struct {
	Addresses []AddressState `json:"addresses"`
	Faults    []Fault        `json:"faults"`
	Calls     int64          `json:"calls"` // the number of the newest one
}

// State returns the present state.
func (s *Server) State() State {
	st := State{Faults: s.faults.list(), Calls: s.calls.newest()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.account.addresses {
		st.Addresses = append(st.Addresses, stateOf(a))
	}
	return st
}

func stateOf(a *address) AddressState {
	st := AddressState{AllocationID: a.AllocationID, PublicIP: a.PublicIP}
	if a.now != nil {
		st.AssociationID, st.PrivateIP, st.Instance, st.ENI = a.now.id, a.now.ip, a.now.to.ID, a.now.to.ENI
	}
	return st
}

// Associate moves an address to the instance with that private address, as somebody at the console would: without a
// Call, and whatever the faults. It returns the association id.
func (s *Server) Associate(allocationID string, privateIP netip.Addr) (string, error) {
	s.effects.Lock()
	defer s.effects.Unlock()
	id, changes, err := s.move(allocationID, privateIP)
	if err != nil {
		return "", err
	}
	s.publish(changes, 0)
	return id, nil
}

func (s *Server) move(allocationID string, privateIP netip.Addr) (string, []Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, to := s.account.byAllocation(allocationID), s.account.ownerOf(privateIP)
	if addr == nil {
		return "", nil, fmt.Errorf("no address %q", allocationID)
	}
	if to == nil {
		return "", nil, fmt.Errorf("no instance with address %s", privateIP)
	}
	id, changes, apiErr := s.account.associate(addr, to, privateIP, true, s.cfg.Now())
	if apiErr != nil {
		return "", nil, apiErr
	}
	return id, changes, nil
}

// Disassociate frees an address, as somebody at the console would. A free one stays free.
func (s *Server) Disassociate(allocationID string) error {
	s.effects.Lock()
	defer s.effects.Unlock()
	var changes []Change
	err := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		addr := s.account.byAllocation(allocationID)
		if addr == nil {
			return errors.New("no address " + allocationID)
		}
		if addr.now != nil {
			changes = append(changes, addr.set(nil, s.cfg.Now()))
		}
		return nil
	}()
	s.publish(changes, 0)
	return err
}

// publish tells OnChange. The caller holds effects.
func (s *Server) publish(changes []Change, seq int64) {
	if s.cfg.OnChange == nil {
		return
	}
	for _, c := range changes {
		c.Seq = seq
		s.cfg.OnChange(c)
	}
}

// instanceAt returns the id of the instance that a request comes from, or nil.
func (s *Server) instanceAt(r *http.Request) *instance {
	ip, ok := sourceOf(r)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account.bySource(ip)
}

func sourceOf(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap(), err == nil
}
