// Package lab is a small cloud on one machine, for breaking hacluster in it and measuring what clients notice.
//
//	client ── gateway ── switch ──┬── node-a  HAProxy, hacluster agent
//	          1:1 NAT    protocol ├── node-b  HAProxy, hacluster agent
//	          of the     112 is   ├── node-c  HAProxy, hacluster agent
//	          Elastic IP captured └── web-1 ... web-5
//
// Every box is a host with namespaces of its own (package host). The gateway's namespace is the lab process itself: it
// also is the subnet's router and serves the EC2 API and the instance metadata (eip/ec2fake). A change of an association
// is in the gateway's rules before the API call that made it is answered.
//
// The lab treats bin/hacluster as a black box: it starts the agent with a configuration file, sends signals, calls the
// command line, reads logs. What it measures, it measures from outside: the client's requests, the calls that EC2
// received, and the packets in the switch.
package lab
