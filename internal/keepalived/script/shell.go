package script

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// What a script may ask of the reader.
const (
	maxText     = 1 << 20
	maxCommands = 10_000
	maxNesting  = 8       // substitutions in substitutions
	maxWord     = 4 << 10 // bytes that variables may make of one word
)

// Word is one word of a command, quotes removed and known variables put in.
type Word struct {
	Text    string
	Unknown bool // a part of it shows only when the script runs; that part is missing from Text, or stands there as $NAME
}

// Command is a simple command.
type Command struct {
	Line      int
	Words     []Word   // the program first, without the path and wrappers such as sudo; empty if the line only assigns
	Redirects []string // the files it reads or writes
	Writes    []string // those of them that it writes
	Then      string   // the operator behind it: && || | & or ;
	Nested    bool     // within a substitution
}

// Program returns the base name of the program, or "".
func (c Command) Program() string {
	if len(c.Words) == 0 {
		return ""
	}
	return path.Base(c.Words[0].Text)
}

// texts returns the words behind the program.
func (c Command) texts() []string {
	var texts []string
	for _, w := range c.Words[min(1, len(c.Words)):] {
		texts = append(texts, w.Text)
	}
	return texts
}

// unknown reports whether any word is.
func (c Command) unknown() bool {
	return slices.ContainsFunc(c.Words, func(w Word) bool { return w.Unknown })
}

// Parse returns the commands of a shell text in their order. A substitution's commands stand before the one they serve.
func Parse(text string) []Command {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return parse(text).out
}

// parse returns the lexer, which knows what was assigned and defined.
func parse(text string) *lexer {
	l := &lexer{
		text: strings.ReplaceAll(text, "\r\n", "\n"), line: 1,
		names: &names{vars: map[string]Word{}, functions: map[string]bool{}, name: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)},
	}
	l.run()
	return l
}

// names is what a script has given names to so far. Substitutions share it.
type names struct {
	vars      map[string]Word
	assigned  []assignment
	functions map[string]bool
	name      *regexp.Regexp
}

// assignment is one NAME=value.
type assignment struct {
	name  string
	value Word
	line  int
}

// lexer turns text into commands. The current word and command are what was read since the last separator.
type lexer struct {
	text    string
	pos     int
	line    int
	nesting int
	*names
	out []Command

	cmd      Command
	word     strings.Builder
	inWord   bool
	unknown  bool // the current word is
	quoted   bool // the current word began with a quote
	assign   int  // where the value of an assignment begins in the current word; 0: it is none
	redirect bool // the next word is the target of a redirection
	writes   bool // which is written to
	heredocs []string
	parens   int
}

func (l *lexer) run() {
	l.cmd.Line = l.line
	for l.pos < len(l.text) && len(l.out) < maxCommands {
		l.step()
	}
	l.endCommand("")
}

// peek returns the byte that is n ahead, or 0.
func (l *lexer) peek(n int) byte {
	if l.pos+n < len(l.text) {
		return l.text[l.pos+n]
	}
	return 0
}

// step reads one character, or a construct that begins with it.
func (l *lexer) step() {
	c := l.text[l.pos]
	l.pos++
	switch c {
	case ' ', '\t', '\r':
		l.endWord()
	case '\n':
		l.endCommand(";")
		l.line++
		l.skipHeredocs()
		l.cmd.Line = l.line
	case '#':
		if l.inWord {
			l.put("#")
			return
		}
		l.pos += len(l.until("\n"))
	case '\\':
		l.escape()
	case '\'', '"':
		l.quote(c)
	case '`', '$':
		l.expand(c, false)
	case ';', '&', '|', '(', ')':
		l.operator(c)
	case '<', '>':
		l.redirection(c)
	case '=':
		l.equals()
	default:
		l.put(string(c))
	}
}

// until returns the text before the next of stop, or the rest.
func (l *lexer) until(stop string) string {
	before, _, _ := strings.Cut(l.text[l.pos:], stop)
	return before
}

func (l *lexer) put(text string) {
	l.inWord = true
	if l.word.Len()+len(text) > maxWord {
		l.unknown = true
		return
	}
	l.word.WriteString(text)
}

// escape is about a backslash outside quotes: at the end of a line it joins it with the next.
func (l *lexer) escape() {
	switch c := l.peek(0); c {
	case 0:
	case '\n':
		l.line++
		l.pos++
	default:
		l.put(string(c))
		l.pos++
	}
}

// equals begins the value of an assignment if what stands before it is a name, at the beginning of a command.
func (l *lexer) equals() {
	if l.assign == 0 && !l.quoted && l.mayAssign() && l.name.MatchString(l.word.String()) {
		l.put("=")
		l.assign = l.word.Len()
		return
	}
	l.put("=")
}

func (l *lexer) mayAssign() bool {
	if len(l.cmd.Words) == 0 {
		return true
	}
	return slices.Contains([]string{"export", "readonly", "local", "declare", "typeset", "env"}, path.Base(l.cmd.Words[0].Text))
}

// quote reads up to the closing quote.
func (l *lexer) quote(kind byte) {
	if !l.inWord {
		l.quoted = true
	}
	l.inWord = true
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		l.pos++
		switch {
		case c == kind:
			return
		case c == '\n':
			l.line++
			l.put("\n")
		case kind == '"' && c == '\\':
			switch next := l.peek(0); next {
			case '$', '`', '"', '\\':
				l.put(string(next))
				l.pos++
			case '\n':
				l.line++
				l.pos++
			default:
				l.put(`\`)
			}
		case kind == '"' && (c == '$' || c == '`'):
			l.expand(c, true)
		default:
			l.put(string(c))
		}
	}
}

// operator ends a command.
func (l *lexer) operator(c byte) {
	switch {
	case c == '&' && l.peek(0) == '>':
		l.pos++
		l.redirection('>')
		return
	case c == '(':
		l.openParen()
		return
	case c == ')':
		l.closeParen()
		return
	case c == l.peek(0):
		l.pos++
		l.endCommand(string([]byte{c, c}))
	case c == '|' && l.peek(0) == '&':
		l.pos++
		l.endCommand("|")
	default:
		l.endCommand(string(c))
	}
}

// openParen begins a subshell, an array, whose elements are not read, or the brackets of a function definition.
func (l *lexer) openParen() {
	switch {
	case l.inWord && l.assign == l.word.Len():
		l.pos += len(matching(l.text[l.pos:], '(', ')')) + 1
		l.unknown = true
	case l.peek(0) == ')':
		l.pos++
		l.endWord()
		if n := len(l.cmd.Words); n > 0 {
			l.functions[l.cmd.Words[n-1].Text] = true
		}
		l.forget()
	default:
		l.parens++
		l.endCommand(";")
	}
}

// closeParen ends a subshell, or the pattern of a case, which is no command.
func (l *lexer) closeParen() {
	if l.parens > 0 {
		l.parens--
		l.endCommand(";")
		return
	}
	l.forget()
	for len(l.out) > 0 && l.out[len(l.out)-1].Then == "|" && l.out[len(l.out)-1].Line == l.line {
		l.out = l.out[:len(l.out)-1]
	}
}

// forget drops what was read of the current command.
func (l *lexer) forget() {
	l.resetWord()
	l.redirect = false
	l.cmd = Command{Line: l.line}
}

// redirection reads an operator such as >, 2>&1, <<EOF or &>>.
func (l *lexer) redirection(c byte) {
	if digits := l.word.String(); l.inWord && strings.Trim(digits, "0123456789") == "" {
		l.resetWord()
	}
	l.endWord()
	if l.peek(0) == '(' { // a process substitution
		l.pos++
		l.substitution(l.take(matching(l.text[l.pos:], '(', ')')))
		return
	}
	heredoc := c == '<' && l.peek(0) == '<' && l.peek(1) != '<'
	for strings.IndexByte("<>|", l.peek(0)) >= 0 && l.peek(0) != 0 {
		l.pos++
	}
	switch {
	case heredoc:
		l.pos += len(l.text[l.pos:]) - len(strings.TrimLeft(l.text[l.pos:], "- \t"))
		end := strings.IndexAny(l.text[l.pos:], " \t\n;|&>")
		if end < 0 {
			end = len(l.text) - l.pos
		}
		l.heredocs = append(l.heredocs, strings.Trim(l.text[l.pos:l.pos+end], `"'\`))
		l.pos += end
	case l.peek(0) == '&':
		l.pos++
		for l.peek(0) != 0 && strings.IndexByte("0123456789-", l.peek(0)) >= 0 {
			l.pos++
		}
	default:
		l.redirect, l.writes = true, c == '>'
	}
}

// take skips text and the character behind it, and returns text.
func (l *lexer) take(text string) string {
	l.pos = min(l.pos+len(text)+1, len(l.text))
	return text
}

func (l *lexer) skipHeredocs() {
	for _, end := range l.heredocs {
		for l.pos < len(l.text) {
			row := l.take(l.until("\n"))
			l.line++
			if strings.Trim(row, "\t\r") == end {
				break
			}
		}
	}
	l.heredocs = nil
}

func (l *lexer) resetWord() {
	l.word.Reset()
	l.inWord, l.unknown, l.quoted, l.assign = false, false, false, 0
}

// endWord adds the current word to the command, or notes what it assigns.
func (l *lexer) endWord() {
	if !l.inWord {
		return
	}
	word, assign := Word{Text: l.word.String(), Unknown: l.unknown}, l.assign
	l.resetWord()
	switch {
	case l.redirect:
		l.cmd.Redirects = append(l.cmd.Redirects, word.Text)
		if l.writes {
			l.cmd.Writes = append(l.cmd.Writes, word.Text)
		}
		l.redirect = false
	case assign > 0:
		a := assignment{name: word.Text[:assign-1], value: Word{Text: word.Text[assign:], Unknown: word.Unknown}, line: l.line}
		l.vars[a.name] = a.value
		l.assigned = append(l.assigned, a)
	default:
		l.cmd.Words = append(l.cmd.Words, word)
	}
}

// endCommand adds the current command to the others, without the words of the grammar around it.
func (l *lexer) endCommand(then string) {
	l.endWord()
	cmd := l.cmd
	l.redirect = false
	l.cmd = Command{Line: l.line}
	if len(cmd.Words) > 1 && cmd.Words[0].Text == "function" {
		l.functions[cmd.Words[1].Text] = true
	}
	cmd.Words = unwrap(cmd.Words)
	cmd.Then, cmd.Nested = then, l.nesting > 0
	if len(cmd.Words) > 0 || !quiet(cmd) {
		l.out = append(l.out, cmd)
	}
}
