//go:build hacluster_level1

package fsm

// Newest in a build that stands for an earlier release, to test rolling upgrades with.
const Newest Level = 1
