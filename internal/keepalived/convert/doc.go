// Package convert turns the keepalived configurations of a pair of nodes, and the notify scripts that move their Elastic
// IP, into one hacluster.yaml for a cluster, and reports what became of every line.
//
// Three rules hold. Nothing is lost in silence: each statement is in the report. Nothing is guessed in silence: what the
// files do not say is left to the operator, and the report says so. No secret of a script is copied, neither to the file nor to the
// report; the password of VRRP's authentication, which is in every packet anyway, is the exception.
package convert
