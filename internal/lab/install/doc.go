// Package install puts the package onto machines that run the real systemd, follows docs/INSTALL.md command by command, and sees whether
// the unit's own sandbox lets the agent do all that it has to. Then it makes nodes of deploy/terraform out of such machines: Debian's cloud-init gets
// what Terraform ships. 'make dist-test' runs its tests on what 'make dist' built.
package install
