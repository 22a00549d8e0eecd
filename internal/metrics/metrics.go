package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hacluster/hacluster/internal/controller"
)

const (
	// scrapesAtOnce bounds what scrapes cost; one more is answered 503.
	scrapesAtOnce = 4
	// scrapeWithin is less than Prometheus' own default, 10 s.
	scrapeWithin = 5 * time.Second
)

// Identity is what does not change while an agent runs. Cluster and Node are labels of everything.
type Identity struct{ Cluster, Node, Version string }

// Metrics is all that one node tells Prometheus. Until Read it has only what is counted, and that of the Go runtime and the process.
type Metrics struct {
	id       Identity
	registry *prometheus.Registry
	events   *events
}

// New returns the metrics of a node of which nothing happened yet.
func New(id Identity) *Metrics {
	m := &Metrics{id: id, registry: prometheus.NewRegistry(), events: newEvents()}
	m.register(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.register(m.events.collectors()...)
	return m
}

// Read adds what is read at each scrape. Call it once.
func (m *Metrics) Read(s Sources) { m.register(newCollector(m.id, s)) }

// register panics only if two families have one name, which the tests would show.
func (m *Metrics) register(all ...prometheus.Collector) {
	labels := prometheus.Labels{labelCluster: m.id.Cluster, labelNode: m.id.Node}
	prometheus.WrapRegistererWith(labels, m.registry).MustRegister(all...)
}

// Handler answers scrapes. A family that cannot be read is left out; the others are worth the more then.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeWithin,
	})
}

// Observer counts the node's changes of state.
func (m *Metrics) Observer() controller.Observer { return m.events }

// MeasureEC2 returns a port that counts and times what goes to next.
func (m *Metrics) MeasureEC2(next controller.EC2) controller.EC2 {
	return measuredEC2{next: next, events: m.events}
}

// MeasureRaft returns a port that counts and times the entries that are proposed to next.
func (m *Metrics) MeasureRaft(next controller.Raft) controller.Raft {
	return measuredRaft{Raft: next, events: m.events}
}
