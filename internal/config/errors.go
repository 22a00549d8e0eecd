package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`             // from 1
	Key    string `json:"key,omitempty"`    // dotted path, such as nodes[1].address; empty if the problem is not that of a key
	What   string `json:"what"`             // what is wrong
	Remedy string `json:"remedy,omitempty"` // what to do about it, such as "write 500ms"; may be empty
}

// String returns "file:line: key: what is wrong; write X instead".
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	b.WriteString(p.What)
	if p.Remedy != "" {
		fmt.Fprintf(&b, "; %s", p.Remedy)
	}
	return b.String()
}

// Errors is everything that is wrong with a file, ordered by line. It is the error of [Load] and [Parse] for a file
// that could be read.
type Errors []Problem

// Error returns one line for each problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders the problems by line; those of one line stay as they were found.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return e
}
