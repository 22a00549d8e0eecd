package script

import (
	"strings"
)

// expand reads what begins with $ or a backquote, which was just passed.
func (l *lexer) expand(c byte, quoted bool) {
	l.inWord = true
	rest := l.text[l.pos:]
	switch {
	case c == '`':
		l.substitution(l.take(l.until("`")))
	case strings.HasPrefix(rest, "(("):
		l.pos++
		l.take(matching(rest[1:], '(', ')'))
		l.unknown = true
	case strings.HasPrefix(rest, "("):
		l.pos++
		l.substitution(l.take(matching(rest[1:], '(', ')')))
	case strings.HasPrefix(rest, "{"):
		l.pos++
		l.parameter(l.take(matching(rest[1:], '{', '}')), quoted)
	default:
		l.variable(quoted)
	}
}

// substitution reads the commands inside; what they print is unknown.
func (l *lexer) substitution(text string) {
	l.inWord, l.unknown = true, true
	if l.nesting < maxNesting {
		inner := &lexer{text: text, line: l.line, names: l.names, nesting: l.nesting + 1}
		inner.run()
		l.out = append(l.out, inner.out...)
	}
	l.line += strings.Count(text, "\n")
}

// variable reads $NAME, or a parameter of one character.
func (l *lexer) variable(quoted bool) {
	end := 0
	for end < len(l.text)-l.pos && isNameByte(l.text[l.pos+end]) {
		end++
	}
	name := l.text[l.pos : l.pos+end]
	if end == 0 || name[0] >= '0' && name[0] <= '9' {
		if l.pos < len(l.text) && strings.IndexByte("0123456789@*#?$!-", l.text[l.pos]) >= 0 {
			l.pos++
			l.unknown = true
			return
		}
		l.put("$")
		return
	}
	l.pos += end
	l.value(name, quoted)
}

// parameter reads ${...}. Of the forms with an operator only that for a default is known.
func (l *lexer) parameter(text string, quoted bool) {
	end := 0
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	name, operator := text[:end], text[end:]
	value, known := l.vars[name]
	switch {
	case operator == "":
		l.value(name, quoted)
	case known && !value.Unknown && value.Text != "" && strings.IndexAny(operator[:1], ":-=?") == 0:
		l.value(name, quoted)
	case strings.HasPrefix(operator, ":-") || strings.HasPrefix(operator, ":=") || strings.HasPrefix(operator, "-"):
		// Unset in this text; it may come from the environment all the same.
		if fallback := strings.TrimLeft(operator, ":-="); !known && !strings.ContainsAny(fallback, "$`") {
			l.put(strings.Trim(fallback, `"'`))
			return
		}
		l.unknown = true
	default:
		l.unknown = true
	}
}

// value puts a variable in. Outside quotes it is split at blanks, as a shell does.
func (l *lexer) value(name string, quoted bool) {
	word, known := l.vars[name]
	if !known {
		l.unknown = true
		l.put("$" + name)
		return
	}
	unknown := l.unknown || word.Unknown
	if quoted || l.assign > 0 || l.redirect {
		l.put(word.Text)
		l.unknown = unknown
		return
	}
	fields := strings.Fields(word.Text)
	for i, field := range fields {
		if i > 0 {
			l.endWord()
		}
		l.put(field)
		l.unknown = unknown
	}
	if len(fields) == 0 {
		l.inWord = l.word.Len() > 0 || unknown
		l.unknown = unknown
	}
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// matching returns the text up to the bracket that closes the one before it, or all. Quoted brackets do not count.
func matching(text string, open, closing byte) string {
	depth := 1
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\\':
			i++
		case '\'', '"':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return text
			}
			i += end + 1
		case open:
			depth++
		case closing:
			if depth--; depth == 0 {
				return text[:i]
			}
		}
	}
	return text
}
