package keepalived

import (
	"fmt"
	"regexp"
	"strings"
)

// definition is the value of $NAME, one element for each line that ended with a backslash, and one for the last.
type definition []line

// The forms that a reference takes: braces may hold parameters, and without braces the name must end where a word ends.
const (
	definitionPattern = `^\$([A-Za-z_][A-Za-z0-9_]*)=[ \t]*(.*)$`
	referencePattern  = `\$\{([A-Za-z_][A-Za-z0-9_]*)((?:[ \t]+[A-Za-z0-9_]+)*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`
)

// define stores a definition, reading on while its lines end with a backslash. It reports whether l was one.
func (r *reader) define(l line) (bool, error) {
	m := r.definition.FindStringSubmatch(l.text)
	if m == nil {
		return false, nil
	}
	name, value := m[1], line{text: m[2], at: l.at}
	var def definition
	for {
		text, more := strings.CutSuffix(value.text, `\`)
		value.text = strings.TrimRight(text, blanks)
		if value.text != "" || !more {
			def = append(def, value)
		}
		if !more {
			break
		}
		next, ok, err := r.raw()
		if err != nil {
			return true, err
		}
		if !ok {
			break
		}
		if value = next; value.text == "" {
			break // an empty line ends it, too
		}
	}
	if len(def) > 1 && def[0].text == "" {
		def = def[1:]
	}
	if len(def) == 0 {
		def = definition{value}
	}
	r.defs[name] = def
	return true, nil
}

// substitute replaces the references of one line, once; a value may hold further ones. The lines of a multi-line
// definition but the first are read next. Unknown names stay: the $ of a script's command line means something else.
func (r *reader) substitute(l line) (line, bool, error) {
	var b strings.Builder
	changed, rest := false, l.text
	for {
		m := r.reference.FindStringSubmatchIndex(rest)
		if m == nil {
			break
		}
		end := m[1]
		name, parameters, bare := group(rest, m, 1), group(rest, m, 2), group(rest, m, 3)
		atEnd := strings.Trim(rest[end:], blanks) == ""
		if bare != "" && !wordEnds(rest[end:]) {
			bare = ""
		}
		value, known, err := r.value(name+bare, strings.Fields(parameters), l.at)
		if err != nil {
			return line{}, false, err
		}
		b.WriteString(rest[:m[0]])
		switch {
		case known && (len(value) == 1 || atEnd):
			b.WriteString(value[0].text)
			changed = true
			if err := r.push(value[1:], l.at); err != nil {
				return line{}, false, err
			}
		default:
			b.WriteString(rest[m[0]:end])
		}
		rest = rest[end:]
		if b.Len() > maxLine {
			return line{}, false, &Error{At: l.at, What: "this line becomes too long when its definitions are put in"}
		}
	}
	b.WriteString(rest)
	return line{text: b.String(), at: l.at}, changed, nil
}

// push has the lines of a definition read next, as lines that were reached from at.
func (r *reader) push(lines []line, at Position) error {
	if len(lines) == 0 {
		return nil
	}
	if at.depth() > maxIncludes {
		return &Error{At: at, What: "a definition of several lines refers to itself"}
	}
	expanded := make([]line, len(lines))
	for i, l := range lines {
		l.at.Included = &at
		expanded[i] = l
	}
	r.queue = append(r.queue, expanded)
	return nil
}

// value looks up a definition of the file, or one of keepalived's own.
func (r *reader) value(name string, parameters []string, at Position) (definition, bool, error) {
	if def, ok := r.defs[name]; ok && len(parameters) == 0 {
		return def, true, nil
	}
	one := func(text string) (definition, bool, error) { return definition{{text: text, at: at}}, true, nil }
	switch name {
	case "_PWD":
		return one(r.dir())
	case "_INSTANCE":
		return one(r.opts.Host)
	case "_HASH":
		return one("#")
	case "_BANG":
		return one("!")
	case "_RANDOM":
		return nil, false, &Error{At: at, What: "${_RANDOM} gives another configuration at each start: write a number", Unsupported: true}
	case "_ENV":
		return r.environment(parameters, at)
	}
	return nil, false, nil
}

func (r *reader) environment(parameters []string, at Position) (definition, bool, error) {
	if len(parameters) != 1 {
		return nil, false, &Error{At: at, What: "${_ENV NAME} takes the name of one environment variable"}
	}
	name := parameters[0]
	if r.opts.LookupEnv != nil {
		if value, ok := r.opts.LookupEnv(name); ok {
			r.note(at, fmt.Sprintf("${_ENV %s} was taken from the environment of this command", name))
			return definition{{text: value, at: at}}, true, nil
		}
	}
	return nil, false, &Error{At: at, What: fmt.Sprintf("the environment variable %s is not set here: set it to what keepalived sees", name)}
}

func group(text string, match []int, n int) string {
	if match[2*n] < 0 {
		return ""
	}
	return text[match[2*n]:match[2*n+1]]
}

// wordEnds reports whether a name without braces ends here.
func wordEnds(rest string) bool { return rest == "" || strings.ContainsRune(" \t,)", rune(rest[0])) }

// undefined returns the first ${NAME} outside double quotes, where a brace would be read as that of a block.
func undefined(text string, reference *regexp.Regexp) string {
	for i, part := range strings.Split(text, `"`) {
		if i%2 == 1 {
			continue
		}
		for _, found := range reference.FindAllString(part, -1) {
			if strings.HasPrefix(found, "${") {
				return found
			}
		}
	}
	return ""
}
