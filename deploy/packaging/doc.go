// Package packaging holds what makes the packages; it has no code of its own but the tests of its files. 'make dist' runs dist.sh.
package packaging
