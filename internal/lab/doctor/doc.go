// Package doctor seeds misconfigurations into a running cluster and has hacluster doctor find each by name, and nothing else.
package doctor
