// Package bench runs hacluster and keepalived in the same lab, under the same faults, and compares what clients notice.
//
// A repetition boots all nodes with the programs of one system, waits until that is steady with node-a in charge, makes
// one fault happen to node-a, and watches. The fault's code, the web servers, the gateway, EC2 and the witnesses are the
// same for all: only the programs beside HAProxy differ. Systems take turns at every fault and every repetition, so that
// a slow minute of the machine hits all of them.
package bench
