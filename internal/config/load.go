package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxSize bounds what is read; a cluster of nine nodes with every key needs a few kilobytes.
const maxSize = 1 << 20

// Load reads and checks the file at path. The error is an [Errors] unless the file could not be read, or anybody may write it.
func Load(path string) (Config, error) { return LoadAs(path, "") }

// LoadAs is [Load] for the node of the given name, whatever the file and the hostname say. It lets one machine check
// the file of another.
func LoadAs(path, node string) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return Config{}, fmt.Errorf("open configuration; run 'chmod 0640 %s' and 'chgrp' to the group that the agent runs as: %w", path, err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	if err := checkMode(f); err != nil {
		return Config{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return parse(path, data, node, hostname())
}

// Parse checks data; name stands for the file in the problems. The error is an [Errors].
func Parse(name string, data []byte) (Config, error) {
	return parse(name, data, "", hostname())
}

// hostname returns an empty name if the kernel does not tell; the file must then name the node.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return shortHostname(name)
}

// parse is Parse without the surroundings: node, if set, wins over the file, and host is used if the file is silent.
func parse(file string, data []byte, node, host string) (Config, error) {
	doc := &document{file: file, lines: map[string]int{}, blamed: map[string]bool{}}
	c := defaults(ProfileDefault)
	if body := doc.parseYAML(data); body != nil {
		doc.profile = profileOf(body)
		c = defaults(doc.profile)
		doc.decode("", body, reflect.ValueOf(&c).Elem())
		if node != "" {
			c.Node = node
		}
		c.complete(host)
		c.validate(doc)
	}
	if len(doc.problems) > 0 {
		return Config{}, doc.problems.sorted()
	}
	return c, nil
}

// profileOf finds the profile before anything else is decoded, since all defaults depend on it. Validation judges the word.
func profileOf(body ast.Node) Profile {
	section, ok := body.(ast.MapNode)
	if !ok {
		return ProfileDefault
	}
	for it := section.MapRange(); it.Next(); {
		if key, plain := it.Key().(*ast.StringNode); plain && key.Value == "profile" {
			return Profile(it.Value().GetToken().Value)
		}
	}
	return ProfileDefault
}

// complete fills in the defaults that depend on other values.
func (c *Config) complete(host string) {
	if c.Node == "" {
		c.Node = host
	}
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if !n.VRRPAddress.IsValid() && n.Address.Addr().Is4() {
			n.VRRPAddress = n.Address.Addr()
		}
	}
}

// parseYAML returns the body of the only document, or nil after reporting why there is none.
func (d *document) parseYAML(data []byte) ast.Node {
	if len(data) > maxSize {
		d.report("", "is larger than 1 MiB", "is this the right file?")
		return nil
	}
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.reportSyntax(err)
		return nil
	}
	switch {
	case len(f.Docs) == 0 || f.Docs[0].Body == nil:
		d.report("", "the file is empty", "start from docs/config.example.yaml")
		return nil
	case len(f.Docs) > 1:
		d.report("", "the file holds several YAML documents", "remove all but one of the parts between '---' lines")
		return nil
	}
	if _, ok := f.Docs[0].Body.(ast.MapNode); !ok {
		d.report("", "the file does not consist of 'key: value' lines", "start from docs/config.example.yaml")
		return nil
	}
	return f.Docs[0].Body
}

func (d *document) reportSyntax(err error) {
	p := Problem{File: d.file, Line: 1, What: "not valid YAML: " + err.Error()}
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		p.What = "not valid YAML: " + syntax.GetMessage()
		if tk := syntax.GetToken(); tk != nil && tk.Position != nil {
			p.Line = tk.Position.Line
		}
	}
	d.problems = append(d.problems, p)
}
