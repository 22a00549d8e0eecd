package keepalived

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// What a file may ask of the reader.
const (
	maxLine     = 16 << 10 // bytes, definitions put in
	maxLines    = 100_000  // of all files and definitions together
	maxIncludes = 16       // one in another, definitions of several lines counted
	maxFiles    = 500
	maxRounds   = 50 // of definitions in definitions
	maxBraces   = 64 // alternatives of {a,b} in one include
)

// line is the text of one line, without its comment.
type line struct {
	text string
	at   Position
}

// source is a file that is being read.
type source struct {
	name  string
	lines []string
	next  int
	from  *Position
}

// reader returns the lines that remain after includes, conditions and definitions.
type reader struct {
	files                 Files
	opts                  Options
	file                  *File
	stack                 []*source // the innermost include is the last
	queue                 [][]line  // what definitions put before the next line of the file, the last first
	defs                  map[string]definition
	definition, reference *regexp.Regexp
	read, opened          int // lines and files so far
}

func newReader(files Files, opts Options, file *File) *reader {
	return &reader{
		files: files, opts: opts, file: file, defs: map[string]definition{},
		definition: regexp.MustCompile(definitionPattern), reference: regexp.MustCompile(referencePattern),
	}
}

func (r *reader) note(at Position, what string) {
	for _, n := range r.file.Notes {
		if n.At.String() == at.String() && n.What == what {
			return
		}
	}
	r.file.Notes = append(r.file.Notes, Note{At: at, What: what})
}

// dir is the directory that relative includes of the current file start from.
func (r *reader) dir() string {
	if len(r.stack) == 0 {
		return "."
	}
	return filepath.Dir(r.stack[len(r.stack)-1].name)
}

// raw returns the next line without its comment. Of what is queued nothing has one.
func (r *reader) raw() (line, bool, error) {
	if r.read++; r.read > maxLines {
		return line{}, false, &Error{At: r.here(), What: fmt.Sprintf("more than %d lines, definitions and includes counted", maxLines)}
	}
	if last := len(r.queue) - 1; last >= 0 {
		l, rest := r.queue[last][0], r.queue[last][1:]
		if r.queue[last] = rest; len(rest) == 0 {
			r.queue = r.queue[:last]
		}
		return l, true, nil
	}
	for len(r.stack) > 0 {
		s := r.stack[len(r.stack)-1]
		if s.next == len(s.lines) {
			r.stack = r.stack[:len(r.stack)-1]
			continue
		}
		text := strings.TrimRight(s.lines[s.next], "\r")
		s.next++
		at := r.here()
		if strings.ContainsRune(text, 0) || len(text) > maxLine {
			return line{}, false, &Error{At: at, What: "a line with zero bytes, or a very long one: is this a keepalived.conf?"}
		}
		text, err := decomment(text)
		if err != nil {
			return line{}, false, &Error{At: at, What: err.Error()}
		}
		return line{text: text, at: at}, true, nil
	}
	return line{}, false, nil
}

// here is the line that was read last.
func (r *reader) here() Position {
	if len(r.stack) == 0 {
		return Position{File: r.file.Name}
	}
	s := r.stack[len(r.stack)-1]
	return Position{File: s.name, Line: s.next, Included: s.from}
}

// next returns the next line that is a statement, or part of one; io.EOF behind the last.
func (r *reader) next() (line, error) {
	for {
		l, ok, err := r.raw()
		if err != nil {
			return line{}, err
		}
		if !ok {
			return line{}, io.EOF
		}
		if l, err = r.resolve(l); err != nil {
			return line{}, err
		}
		if l.text == "" {
			continue
		}
		included, err := r.include(l)
		if err != nil {
			return line{}, err
		}
		if !included {
			return l, nil
		}
	}
}

// resolve applies conditions and definitions. An empty text means that nothing of the line is left.
func (r *reader) resolve(l line) (line, error) {
	for range maxRounds {
		l.text = r.condition(l.text)
		if isDefinition, err := r.define(l); isDefinition || err != nil {
			return line{}, err
		}
		for _, sequence := range []string{"~SEQ", "~LST"} {
			if strings.HasPrefix(l.text, sequence) {
				return line{}, &Error{At: l.at, What: sequence + " is not read here: write out the lines that it makes", Unsupported: true}
			}
		}
		replaced, changed, err := r.substitute(l)
		if err != nil {
			return line{}, err
		}
		if !changed {
			if name := undefined(l.text, r.reference); name != "" {
				return line{}, &Error{At: l.at, What: name + " is not defined"}
			}
			return l, nil
		}
		if replaced.text, err = decomment(replaced.text); err != nil {
			return line{}, &Error{At: l.at, What: err.Error()}
		}
		l = replaced
	}
	return line{}, &Error{At: l.at, What: "its definitions refer to themselves"}
}

// condition removes an @host that matches, or the whole line. Several may follow one another.
func (r *reader) condition(text string) string {
	for strings.HasPrefix(text, "@") {
		id, rest, _ := strings.Cut(text[1:], " ")
		if tab := strings.IndexByte(id, '\t'); tab >= 0 {
			id, rest = id[:tab], text[tab+1:]
		}
		id, negated := strings.CutPrefix(id, "^")
		if id != "" && !slices.Contains(r.file.Hosts, id) {
			r.file.Hosts = append(r.file.Hosts, id)
		}
		if (id == r.opts.Host) == negated {
			return ""
		}
		text = strings.Trim(rest, blanks)
	}
	return text
}

// include opens the files of an include line. Only the missing file of a plain name is an error: a directory of optional
// files may be empty.
func (r *reader) include(l line) (bool, error) {
	end := strings.IndexAny(l.text, blanks)
	if end < 0 || !slices.Contains([]string{"include", "includer", "includem", "includew", "includeb", "includea"}, l.text[:end]) {
		return false, nil
	}
	pattern := strings.Trim(l.text[end:], blanks)
	var names []string
	for _, p := range expandBraces(pattern) {
		if !filepath.IsAbs(p) {
			p = filepath.Join(r.dir(), p)
		}
		found, err := r.files.Glob(p)
		if err != nil {
			return true, &Error{At: l.at, What: fmt.Sprintf("include %s: %v", pattern, err)}
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		if !strings.ContainsAny(pattern, "*?[") {
			return true, &Error{At: l.at, What: fmt.Sprintf("include %s: no such file here: copy it beside this one", pattern)}
		}
		r.note(l.at, fmt.Sprintf("include %s matches no file here", pattern))
	}
	slices.Reverse(names) // the last one opened is the first one read
	for _, name := range names {
		if err := r.open(name, &l.at); err != nil {
			return true, err
		}
	}
	return true, nil
}

// open puts a file on the stack.
func (r *reader) open(name string, from *Position) error {
	at := Position{File: name}
	if from != nil {
		at = *from
	}
	for up := from; up != nil; up = up.Included {
		if filepath.Clean(up.File) == filepath.Clean(name) {
			return &Error{At: at, What: fmt.Sprintf("include %s: the file includes itself", name)}
		}
	}
	if r.opened++; at.depth() > maxIncludes || r.opened > maxFiles {
		return &Error{At: at, What: fmt.Sprintf("include %s: too many files, or one in another too often", name)}
	}
	data, err := r.files.ReadFile(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		if from == nil {
			return &Error{At: at, What: fmt.Sprintf("cannot be read: %v", err)}
		}
		return &Error{At: at, What: fmt.Sprintf("include %s: %v", name, err)}
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	r.stack = append(r.stack, &source{name: name, lines: strings.Split(text, "\n"), from: from})
	return nil
}

// expandBraces turns a{b,c}d into abd and acd, as csh and glob(3) do.
func expandBraces(pattern string) []string {
	open := strings.LastIndexByte(pattern, '{')
	if open < 0 {
		return []string{pattern}
	}
	inner, tail, closed := strings.Cut(pattern[open+1:], "}")
	if !closed {
		return []string{pattern}
	}
	var patterns []string
	for alternative := range strings.SplitSeq(inner, ",") {
		for _, p := range expandBraces(pattern[:open] + alternative + tail) {
			if len(patterns) == maxBraces {
				return patterns
			}
			if !slices.Contains(patterns, p) {
				patterns = append(patterns, p)
			}
		}
	}
	return patterns
}
