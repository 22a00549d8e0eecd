package keepalived

import (
	"errors"
	"strings"
)

const blanks = " \t"

// decomment removes what follows an unquoted '#' or '!', the blanks around the rest, and the backslash before an escaped
// comment character. Only double quotes protect: an apostrophe is an ordinary character here.
func decomment(text string) (string, error) {
	text = strings.Trim(text, blanks)
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+1 < len(text):
			if next := text[i+1]; quoted || next != '#' && next != '!' {
				b.WriteByte(c)
			}
			i++
			c = text[i]
		case !quoted && (c == '#' || c == '!'):
			return strings.TrimRight(b.String(), blanks), nil
		}
		b.WriteByte(c)
	}
	if quoted {
		return "", errors.New("a quote (\") is not closed on this line")
	}
	return strings.TrimRight(b.String(), blanks), nil
}

// plainWords splits at blanks; a double-quoted string is one word without its quotes.
func plainWords(text string) ([]string, error) {
	var words []string
	for {
		text = strings.TrimLeft(text, blanks)
		if text == "" {
			return words, nil
		}
		if text[0] == '"' {
			word, rest, closed := strings.Cut(text[1:], `"`)
			if !closed {
				return nil, errors.New("a quote (\") is not closed on this line")
			}
			words, text = append(words, word), rest
			continue
		}
		end := strings.IndexAny(text, blanks+`"`)
		if end < 0 {
			end = len(text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
}

// quotedWords splits as a shell would, with both kinds of quotes and backslashes. With escapes, a backslash makes the
// characters that keepalived.conf(5) lists under "Quoted strings"; without, it stays where it is.
func quotedWords(text string, escapes bool) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 == len(text):
			return nil, errors.New("nothing follows the backslash at the end")
		case c == '\\':
			n := 2
			if escapes {
				if c, n = unescape(text[i+1:]); c == 0 {
					return nil, errors.New("an escape makes a zero byte, which no program can be given")
				}
				word.WriteByte(c)
				n++
			} else {
				word.WriteString(text[i : i+2])
			}
			inWord, i = true, i+n-1
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			inWord, quote = true, c
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			inWord = true
			word.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote (" + string(quote) + ") is not closed on this line")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// unescape returns the character that the text behind a backslash stands for, and how many bytes of text say so.
func unescape(text string) (byte, int) {
	switch c := text[0]; {
	case c == 'x' && len(text) > 1 && hexDigit(text[1]) >= 0:
		value, n := hexDigit(text[1]), 2
		if len(text) > 2 && hexDigit(text[2]) >= 0 {
			value, n = value<<4|hexDigit(text[2]), 3
		}
		return byte(value), n
	case c == 'c' && len(text) > 1:
		return text[1] & 0x1f, 2
	case c >= '0' && c <= '7':
		value, n := 0, 0
		for n < 3 && n < len(text) && text[n] >= '0' && text[n] <= '7' {
			value = value<<3 | int(text[n]-'0')
			n++
		}
		return byte(value), n
	default:
		if i := strings.IndexByte("abEfnrtv", c); i >= 0 {
			return "\a\b\x1b\f\n\r\t\v"[i], 1
		}
		return c, 1
	}
}

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	if c >= 'A' && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}
