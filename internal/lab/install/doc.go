// Package install puts the package onto machines that run the real systemd, follows docs/INSTALL.md command by command, and sees whether
// the unit's own sandbox lets the agent do all that it has to. 'make dist-test' runs its tests on what 'make dist' built.
package install
