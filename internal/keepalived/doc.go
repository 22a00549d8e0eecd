// Package keepalived reads keepalived.conf(5) as keepalived's own parser does (its lib/parser.c): lines, not tokens, are
// what the grammar consists of. It knows no keyword; what the statements mean is decided in package convert.
//
// Nothing is executed, and files are read only through [Files]. Whatever the text, [Parse] ends: depth, files, lines and
// what definitions expand to are bounded.
package keepalived
