// Package doccheck reads the project's documentation as tests need it: pages, links, headings, code, and the commands in that code.
//
// It is for tests only. What a link, a command or a key must lead to is known by the package that has it, and checked there.
package doccheck

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// Page is a file of documentation.
type Page struct {
	Path string // from the root of the repository, with slashes
	Text string
}

// Pages reads all documentation below root: README.md, CONTRIBUTING.md, CHANGELOG.md, docs/**/*.md and each README.md below deploy.
func Pages(root string) ([]Page, error) {
	var pages []Page
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !isPage(name) {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		pages = append(pages, Page{Path: name, Text: string(text)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read documentation: %w", err)
	}
	return pages, nil
}

func isPage(name string) bool {
	switch top, _, below := strings.Cut(name, "/"); {
	case !below:
		return name == "README.md" || name == "CONTRIBUTING.md" || name == "CHANGELOG.md"
	case top == "docs":
		return strings.HasSuffix(name, ".md")
	default:
		return top == "deploy" && path.Base(name) == "README.md"
	}
}

// Link is a reference to another place.
type Link struct {
	Line   int // from 1
	Target string
}

var (
	linkPattern = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	// spanPattern is inline code, which holds no links.
	spanPattern = regexp.MustCompile("``(.+?)``|`([^`]+)`")
)

// Links returns the links of a page, images included, in order.
func (p Page) Links() []Link {
	var links []Link
	for _, paragraph := range p.parts().prose {
		text := spanPattern.ReplaceAllStringFunc(paragraph.Text, func(span string) string {
			return strings.Repeat("\n", strings.Count(span, "\n")) + "code"
		})
		for _, m := range linkPattern.FindAllStringSubmatchIndex(text, -1) {
			links = append(links, Link{Line: paragraph.Line + strings.Count(text[:m[0]], "\n"), Target: text[m[2]:m[3]]})
		}
	}
	return links
}

// Anchors returns what can stand after the '#' of a link to the page: its headings as GitHub spells them.
func (p Page) Anchors() map[string]bool {
	anchors := map[string]bool{}
	for _, paragraph := range p.parts().prose {
		for line := range strings.Lines(paragraph.Text) {
			title := strings.TrimLeft(line, "#")
			if len(title) == len(line) || !strings.HasPrefix(title, " ") {
				continue
			}
			name := slug(title)
			for n := 1; anchors[name]; n++ {
				name = fmt.Sprintf("%s-%d", slug(title), n)
			}
			anchors[name] = true
		}
	}
	return anchors
}

// slug keeps letters, digits, '-' and '_', in lower case, and makes blanks to '-'.
func slug(title string) string {
	title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		default:
			return -1
		}
	}, strings.TrimSpace(title))
}
