// Package metrics tells Prometheus what a node is and what it did (docs/METRICS.md).
//
// What is a value is read at the moment of a scrape, from the parts of the agent that know it; nothing is kept twice. What happens is
// counted where it happens: the package stands between the controller and its ports, and among its observers.
//
// Labels come from fixed words, from the configuration or from the members of the cluster. Nothing that a stranger says becomes one.
package metrics
