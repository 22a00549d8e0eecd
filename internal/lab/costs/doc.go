// Package costs measures what a healthy cluster takes while nothing happens: CPU, memory, packets, EC2 calls, log entries.
//
// Everything is read from outside, as an operator could: /proc of the agents, the ports of the lab's switch, EC2's log, and
// hacluster status.
package costs
