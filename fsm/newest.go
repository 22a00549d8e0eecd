//go:build !hacluster_level1

package fsm

// Newest is the level that this build knows, and it knows all below.
const Newest Level = 2
