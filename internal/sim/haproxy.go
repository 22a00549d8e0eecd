package sim

import (
	"sync"
	"time"

	"github.com/hacluster/hacluster/health"
)

// haproxy stands in for HAProxy and the checks of package health. It belongs to a machine and outlives the agent's process.
type haproxy struct {
	now func() time.Duration

	mu       sync.Mutex
	status   health.Status
	watchers map[*healthPort]struct{}
}

func newHAProxy(now func() time.Duration) *haproxy {
	return &haproxy{now: now, status: health.Status{Healthy: true, Reason: "all checks pass"}, watchers: make(map[*healthPort]struct{})}
}

// set changes what the checks say.
func (h *haproxy) set(healthy bool, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = health.Status{Healthy: healthy, Reason: reason, At: h.now()}
	for w := range h.watchers {
		w.publish(h.status)
	}
}

func (h *haproxy) healthy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status.Healthy
}

// healthPort is controller.Health for one process of the agent. It knows nothing until its first check.
type healthPort struct {
	mu      sync.Mutex
	status  health.Status
	updates chan health.Status
}

func newHealthPort() *healthPort {
	return &healthPort{status: health.Status{Reason: "not checked yet"}, updates: make(chan health.Status, 1)}
}

// watch begins to check.
func (h *haproxy) watch(p *healthPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers[p] = struct{}{}
	p.publish(h.status)
}

func (h *haproxy) unwatch(p *healthPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, p)
}

// publish replaces what is unread.
func (p *healthPort) publish(s health.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = s
	select {
	case <-p.updates:
	default:
	}
	p.updates <- s
}

// Status implements controller.Health.
func (p *healthPort) Status() health.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Updates implements controller.Health.
func (p *healthPort) Updates() <-chan health.Status { return p.updates }
