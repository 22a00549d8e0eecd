package doccheck

import (
	"fmt"
	"strings"
)

// Snippet is a piece of a page: code, or in this package also a paragraph.
type Snippet struct {
	Page   string
	Line   int    // of its beginning, from 1
	Lang   string // what stands behind the opening of a fence, such as "yaml"
	Inline bool   // within a sentence or a table
	Text   string
}

// Where names the place, as a compiler does.
func (s Snippet) Where() string { return fmt.Sprintf("%s:%d", s.Page, s.Line) }

// Code returns what is set as code: fences, indented blocks, and code within sentences.
func (p Page) Code() []Snippet {
	parts := p.parts()
	all := parts.blocks
	for _, paragraph := range parts.prose {
		for _, m := range spanPattern.FindAllStringSubmatchIndex(paragraph.Text, -1) {
			from, to := m[2], m[3]
			if from < 0 {
				from, to = m[4], m[5]
			}
			all = append(all, Snippet{Page: p.Path, Line: paragraph.Line + strings.Count(paragraph.Text[:from], "\n"), Inline: true,
				Text: strings.ReplaceAll(paragraph.Text[from:to], `\|`, "|")}) // as tables want it
		}
	}
	return all
}

// parts are the blocks of code and the paragraphs of a page.
type parts struct {
	page          string
	blocks, prose []Snippet
	open          *Snippet // what goes on in the next line
	kind          kind
}

type kind int

const (
	nothing kind = iota
	fence
	indented
	paragraph
)

const indent = "    "

func (p Page) parts() parts {
	all := parts{page: p.Path}
	number := 0
	for line := range strings.Lines(p.Text) {
		number++
		all.take(number, line)
	}
	all.close()
	return all
}

func (p *parts) take(number int, line string) {
	trimmed := strings.TrimSpace(line)
	mark, isFence := strings.CutPrefix(trimmed, "```")
	switch {
	case p.kind == fence && isFence:
		p.close()
	case p.kind == fence:
		p.open.Text += line
	case isFence:
		p.close()
		p.kind, p.open = fence, &Snippet{Page: p.page, Line: number + 1, Lang: strings.TrimSpace(mark)}
	case trimmed == "" && p.kind == indented:
		p.open.Text += "\n"
	case trimmed == "":
		p.close()
	case strings.HasPrefix(line, indent) && p.kind != paragraph:
		p.begin(indented, number)
		p.open.Text += strings.TrimPrefix(line, indent)
	default:
		if p.kind == indented {
			p.close()
		}
		p.begin(paragraph, number)
		p.open.Text += line
	}
}

func (p *parts) begin(k kind, number int) {
	if p.kind == nothing {
		p.kind, p.open = k, &Snippet{Page: p.page, Line: number}
	}
}

func (p *parts) close() {
	switch p.kind {
	case nothing:
		return
	case paragraph:
		p.prose = append(p.prose, *p.open)
	default:
		p.blocks = append(p.blocks, *p.open)
	}
	p.kind, p.open = nothing, nil
}
