package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// kind is the type of a metric, in Prometheus' word.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// family is one metric.
type family struct {
	name   string
	kind   kind
	labels []string
	help   string
	read   func(s *snapshot, put put) // nil: counted where it happens
}

// put says one value. Labels are in the order of the family's.
type put func(value float64, labels ...string)

// topic is a group of families, for people.
type topic struct {
	title    string
	families []family
}

// topics are all metrics of this package: what is exported and what docs/METRICS.md says are one thing.
func topics() []topic {
	return []topic{
		{"The node", nodeFamilies()},
		{"Consensus", raftFamilies()},
		{"Members", memberFamilies()},
		{"Nodes found by an EC2 tag", discoveryFamilies()},
		{"HAProxy", healthFamilies()},
		{"Elastic IPs", addressFamilies()},
		{"EC2", slices.Concat(callFamilies(), warmFamilies())},
		{"VRRP", slices.Concat(sendingFamilies(), hearingFamilies())},
		{"Hints, and this node's own pauses", hintFamilies()},
		{"Hooks", hookFamilies()},
	}
}

func families() map[string]family {
	all := map[string]family{}
	for _, t := range topics() {
		for _, f := range t.families {
			all[f.name] = f
		}
	}
	return all
}

// truth is 1 for true.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// one reads a single value without labels.
func one[N int | int64 | uint64 | float64](value func(*snapshot) N) func(*snapshot, put) {
	return func(s *snapshot, put put) { put(float64(value(s))) }
}

// whether reads a single truth value.
func whether(is func(*snapshot) bool) func(*snapshot, put) {
	return func(s *snapshot, put put) { put(truth(is(s))) }
}

// collector reads all families that are values.
type collector struct {
	id       Identity
	sources  Sources
	families []family
	descs    []*prometheus.Desc
}

func newCollector(id Identity, sources Sources) *collector {
	c := &collector{id: id, sources: sources}
	for _, t := range topics() {
		for _, f := range t.families {
			if f.read != nil {
				c.families = append(c.families, f)
				c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels, nil))
			}
		}
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	shot := c.sources.look(c.id)
	for i, f := range c.families {
		valueType := prometheus.GaugeValue
		if f.kind == counter {
			valueType = prometheus.CounterValue
		}
		f.read(shot, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(c.descs[i], valueType, value, labels...)
		})
	}
}
