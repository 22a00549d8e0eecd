package life

import (
	"slices"
	"strings"
)

// excerpt chooses the lines of an answer that are shown.
type excerpt func(lines []string) []string

func everything(lines []string) []string { return lines }

func nothing([]string) []string { return nil }

// verdict is the beginning of 'hacluster status': who holds, whether a node may be lost, what is wrong.
func verdict(lines []string) []string {
	if end := slices.Index(lines, ""); end >= 0 {
		return lines[:end]
	}
	return lines
}

// fromLine is everything from the line on that begins so.
func fromLine(begins string) excerpt {
	return func(lines []string) []string {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, begins) })
		return lines[max(i, 0):]
	}
}

// linesWith are those with one of the words.
func linesWith(words ...string) excerpt {
	return func(lines []string) []string {
		var kept []string
		for _, line := range lines {
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
				kept = append(kept, line)
			}
		}
		return kept
	}
}
