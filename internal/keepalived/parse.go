package keepalived

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth bounds blocks in blocks; keepalived's grammar has five.
const maxDepth = 16

// Options say for whom a file is read.
type Options struct {
	// Host is what @host lines are compared with: keepalived's config id, by default the short host name.
	Host string
	// LookupEnv answers ${_ENV NAME}; nil: no variable is set.
	LookupEnv func(string) (string, bool)
}

// File is what a configuration consists of, includes and definitions resolved.
type File struct {
	Name       string
	Statements []*Statement
	Hosts      []string // every id behind an @, in the order of the file
	Notes      []Note
}

// Note is something that the reader of a conversion should know.
type Note struct {
	At   Position
	What string
}

// Statement is a keyword, or one value of a block of values, with what stands behind it.
type Statement struct {
	Words    []string // split at blanks, double quotes removed
	At       Position
	Block    []*Statement
	HasBlock bool
	raw      string
}

// Keyword returns the first word.
func (s *Statement) Keyword() string { return s.Words[0] }

// Arg returns the n-th word behind the keyword, from 1, or "".
func (s *Statement) Arg(n int) string {
	if n >= len(s.Words) {
		return ""
	}
	return s.Words[n]
}

// String returns the line as it was written, without its comment.
func (s *Statement) String() string { return s.raw }

// Command is the program of a script or notify keyword.
type Command struct {
	Text string   // as quoted in the file
	Argv []string // as keepalived executes it
	User string   // the user, or user and group, behind a notify command
	Lost string   // what keepalived ignores behind an unquoted command
}

// Command reads the statement as keepalived does for script and notify*: only the first argument is the command, which
// must therefore be quoted when it has arguments of its own.
func (s *Statement) Command() (Command, error) {
	isScript := s.Keyword() == "script"
	words, err := quotedWords(s.raw, isScript)
	if err != nil {
		return Command{}, &Error{At: s.At, What: err.Error()}
	}
	if len(words) < 2 {
		return Command{}, &Error{At: s.At, What: s.Keyword() + " names no command"}
	}
	argv, err := quotedWords(words[1], true)
	if err != nil {
		return Command{}, &Error{At: s.At, What: err.Error()}
	}
	if len(argv) == 0 {
		return Command{}, &Error{At: s.At, What: s.Keyword() + " names no command"}
	}
	c := Command{Text: words[1], Argv: argv}
	if rest := strings.Join(words[2:], " "); isScript {
		c.Lost = rest
	} else {
		c.User = rest
	}
	return c, nil
}

// Parse reads the file of that name and what it includes. Its errors are of type [*Error].
func Parse(files Files, name string, opts Options) (*File, error) {
	file := &File{Name: name}
	r := newReader(files, opts, file)
	if err := r.open(name, nil); err != nil {
		return nil, err
	}
	t := &tree{file: file}
	for {
		l, err := r.next()
		if errors.Is(err, io.EOF) {
			return file, t.end()
		}
		if err != nil {
			return nil, err
		}
		for _, piece := range splitBraces(l.text) {
			if err := t.add(line{text: piece, at: l.at}); err != nil {
				return nil, err
			}
		}
	}
}

// tree puts statements into the blocks that they belong to.
type tree struct {
	file *File
	open []*Statement // the blocks that are not closed yet, the innermost last
	last *Statement   // what a '{' would belong to
}

func (t *tree) add(l line) error {
	switch l.text {
	case "{":
		if t.last == nil {
			return &Error{At: l.at, What: "'{' without a keyword before it"}
		}
		if len(t.open) == maxDepth {
			return &Error{At: l.at, What: "too many blocks one in another"}
		}
		t.last.HasBlock = true
		t.open, t.last = append(t.open, t.last), nil
		return nil
	case "}":
		if len(t.open) == 0 {
			return &Error{At: l.at, What: "'}' without a '{' before it"}
		}
		t.open, t.last = t.open[:len(t.open)-1], nil
		return nil
	}
	words, err := plainWords(l.text)
	if err != nil {
		return &Error{At: l.at, What: err.Error()}
	}
	if len(words) == 0 || words[0] == "" {
		return &Error{At: l.at, What: "an empty keyword"}
	}
	t.last = &Statement{Words: words, At: l.at, raw: l.text}
	if len(t.open) == 0 {
		t.file.Statements = append(t.file.Statements, t.last)
		return nil
	}
	block := t.open[len(t.open)-1]
	block.Block = append(block.Block, t.last)
	return nil
}

func (t *tree) end() error {
	if len(t.open) == 0 {
		return nil
	}
	block := t.open[len(t.open)-1]
	return &Error{At: block.At, What: fmt.Sprintf("the '{' of %s is never closed", strings.Join(block.Words, " "))}
}

// splitBraces cuts a line into what stands before, at and after each brace outside double quotes.
func splitBraces(text string) []string {
	var pieces []string
	start, quoted := 0, false
	add := func(piece string) {
		if piece = strings.Trim(piece, blanks); piece != "" {
			pieces = append(pieces, piece)
		}
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '}'):
			add(text[start:i])
			add(text[i : i+1])
			start = i + 1
		}
	}
	add(text[start:])
	return pieces
}
