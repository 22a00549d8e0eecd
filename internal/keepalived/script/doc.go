// Package script reads shell text without running it: the checks and notify scripts of keepalived users. What it cannot
// know without running the text it calls unknown; it never guesses a value.
//
// It reads the grammar of sh(1) that such scripts use: quotes, variables, substitutions, redirections, lists and compound
// commands, the branches of which are all taken. Depth and size are bounded.
package script
