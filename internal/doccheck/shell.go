package doccheck

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// shellWords splits shell into simple commands. It knows quotes, comments, here-documents and what parts commands; a substitution $(...) is
// a command of its own. It is no shell: what it meets is what people write into documentation.
type shellWords struct {
	commands [][]string
	words    []string
	word     strings.Builder
	inWord   bool
}

// Commands returns the simple commands of a piece of shell, each as its words, without redirections.
func Commands(text string) [][]string {
	s := &shellWords{}
	text = withoutDocuments(text)
	for i := 0; i < len(text); {
		i += s.step(text[i:])
	}
	s.endCommand()
	return s.commands
}

// step takes what rest begins with and returns its length.
func (s *shellWords) step(rest string) int {
	switch c := rest[0]; {
	case c == '\\' && len(rest) > 1:
		if rest[1] != '\n' {
			s.add(rest[1:2])
		}
		return 2
	case c == '\'' || c == '"':
		return s.quoted(rest)
	case c == '#' && !s.inWord:
		return strings.IndexByte(rest+"\n", '\n')
	case c == ' ' || c == '\t':
		s.endWord()
	case strings.HasPrefix(rest, "$("):
		s.endCommand()
		return 2
	case c == '&' && strings.HasSuffix(s.word.String(), ">"):
		s.add("&")
	case strings.IndexByte("\n;&|()`", c) >= 0:
		s.endCommand()
	default:
		s.add(rest[:1])
	}
	return 1
}

func (s *shellWords) quoted(rest string) int {
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 { // an apostrophe
		s.add(rest[:1])
		return 1
	}
	s.add(rest[1 : 1+end])
	return end + 2
}

func (s *shellWords) add(text string) {
	s.word.WriteString(text)
	s.inWord = true
}

func (s *shellWords) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func (s *shellWords) endCommand() {
	s.endWord()
	if words := withoutRedirections(s.words); len(words) > 0 {
		s.commands = append(s.commands, words)
	}
	s.words = nil
}

func withoutRedirections(words []string) []string {
	var kept []string
	arrow := regexp.MustCompile(`^[0-9]*[<>]+&?`)
	for i := 0; i < len(words); i++ {
		switch arrow.FindString(words[i]) {
		case "":
			kept = append(kept, words[i])
		case words[i]:
			i++ // the file is the next word
		}
	}
	return kept
}

// withoutDocuments removes here-documents.
func withoutDocuments(text string) string {
	begins := regexp.MustCompile(`<<-?\s*['"]?(\w+)['"]?`)
	var kept strings.Builder
	end := ""
	for line := range strings.Lines(text) {
		if end != "" {
			if strings.TrimSpace(line) == end {
				end = ""
			}
			continue
		}
		if m := begins.FindStringSubmatch(line); m != nil {
			end = m[1]
		}
		kept.WriteString(line)
	}
	return kept.String()
}

// Call is a command line in documentation.
type Call struct {
	Where string
	Args  []string // behind the name of the program
	Whole bool     // as one would type it; otherwise arguments may be left out
}

// Calls finds the calls of a program in the code of pages.
func Calls(pages []Page, program string) []Call {
	var calls []Call
	for _, p := range pages {
		for _, code := range p.Code() {
			calls = append(calls, CallsIn(code, program)...)
		}
	}
	return calls
}

// CallsIn finds those in one piece of code. The bare name of a program within a sentence is none.
func CallsIn(code Snippet, program string) []Call {
	var calls []Call
	for _, words := range Commands(code.Text) {
		i := slices.IndexFunc(words, func(word string) bool { return path.Base(word) == program && !strings.HasSuffix(word, "/") })
		if i < 0 || !startsCommand(words[:i]) || code.Inline && i+1 == len(words) {
			continue
		}
		calls = append(calls, Call{Where: code.Where(), Args: words[i+1:], Whole: !code.Inline})
	}
	return calls
}

// startsCommand reports whether a program's name may follow these words: nothing, a prompt, an assignment, or what starts another command.
func startsCommand(before []string) bool {
	if len(before) == 0 {
		return true
	}
	last := before[len(before)-1]
	if slices.Contains([]string{"$", "--", "!", "sudo", "do", "then", "if", "exec"}, last) || strings.HasSuffix(last, "#") {
		return true
	}
	return strings.Contains(last, "=") || before[0] == "ssh" && len(before) == 2
}
