package convert

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// column is where the comments behind values begin.
const column = 46

// page is a YAML file that is being written.
type page struct{ b bytes.Buffer }

func (p *page) blank() { p.b.WriteByte('\n') }

// remark writes a comment of its own.
func (p *page) remark(indent, text string) {
	p.b.WriteString(wrap(clean(text), indent+"# ", indent+"# "))
}

// line writes text with a comment behind it, which may be empty.
func (p *page) line(text, comment string) {
	p.b.WriteString(text)
	if comment != "" {
		p.b.WriteString(strings.Repeat(" ", max(1, column-len(text))) + "# " + clean(comment))
	}
	p.b.WriteByte('\n')
}

// scalar writes a text so that YAML reads the same text: as it is if that is safe, else in double quotes.
func scalar(text string) string {
	plain := regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)
	word := regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null|y|n)$`)
	if plain.MatchString(text) && !word.MatchString(text) {
		return text
	}
	return quote(text)
}

// quote writes a text in double quotes: a JSON string is a YAML string, too.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// short prints 1m0s as 1m.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// list writes texts as a YAML list on one line.
func list(texts []string) string {
	items := make([]string, len(texts))
	for i, t := range texts {
		items[i] = scalar(t)
	}
	return "[" + strings.Join(items, ", ") + "]"
}
