package script

import (
	"path"
	"slices"
	"strings"
)

// unwrap removes the words of the grammar and programs that only run another one. A loop's or case's own words are no
// command at all.
func unwrap(words []Word) []Word {
	for len(words) > 0 {
		switch first := words[0].Text; path.Base(first) {
		case "if", "then", "else", "elif", "fi", "do", "done", "while", "until", "{", "}", "!", "time", "esac",
			"exec", "nohup", "command", "builtin", "setsid", "chronic":
			words = words[1:]
		case "for", "select", "case", "function":
			return nil
		case "sudo", "nice", "ionice", "env", "timeout", "stdbuf":
			words = skipOptions(path.Base(first), words[1:])
		default:
			return words
		}
	}
	return nil
}

// skipOptions removes the options of a wrapper, env's variables and timeout's duration.
func skipOptions(wrapper string, words []Word) []Word {
	withValue := map[string][]string{
		"sudo": {"-u", "-g", "-U"}, "nice": {"-n"}, "ionice": {"-c", "-n"}, "timeout": {"-k", "-s"}, "env": {"-u"},
	}[wrapper]
	for len(words) > 0 {
		text := words[0].Text
		switch {
		case slices.Contains(withValue, text):
			words = words[min(2, len(words)):]
		case strings.HasPrefix(text, "-"), wrapper == "env" && strings.Contains(text, "="):
			words = words[1:]
		case wrapper == "timeout":
			return words[1:]
		default:
			return words
		}
	}
	return nil
}
