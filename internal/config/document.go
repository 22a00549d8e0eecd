package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// document decodes YAML into Go values and remembers where each key stands, so that the rules that are checked later
// can name the line. The decoder of go-yaml stops at the first error; this one collects them all.
type document struct {
	file     string
	profile  Profile
	lines    map[string]int  // dotted path of a key -> line
	blamed   map[string]bool // paths with a problem; what follows from it is not reported again
	problems Errors
}

// report adds a problem of the key at path, unless the key or a section around it was already reported.
func (d *document) report(path, what, remedy string) {
	for p := path; p != ""; p = parentPath(p) {
		if d.blamed[p] {
			return
		}
	}
	d.blamed[path] = true
	d.problems = append(d.problems, Problem{File: d.file, Line: d.line(path), Key: path, What: what, Remedy: remedy})
}

// line returns where the key stands, or, for a key that is missing, the section it is missing from.
func (d *document) line(path string) int {
	for p := path; p != ""; p = parentPath(p) {
		if line, ok := d.lines[p]; ok {
			return line
		}
	}
	return 1
}

// parentPath turns nodes[1].address into nodes[1], nodes, and "".
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// decode stores node in v or reports why it cannot be stored.
func (d *document) decode(path string, node ast.Node, v reflect.Value) {
	switch node.(type) {
	case *ast.NullNode:
		d.reportNull(path, v)
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.report(path, "anchors, aliases and tags are not allowed", "write the value itself")
		return
	}
	if target, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.decodeText(path, node, target)
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d.decodeDuration(path, node, v)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(path, node, v.Elem())
	case v.Kind() == reflect.Struct:
		d.decodeStruct(path, node, v)
	case v.Kind() == reflect.Slice:
		d.decodeSlice(path, node, v)
	default:
		d.decodeScalar(path, node, v)
	}
}

func (d *document) decodeStruct(path string, node ast.Node, v reflect.Value) {
	section, ok := node.(ast.MapNode)
	if !ok {
		d.report(path, "is not a section", "write its keys below it, indented, one 'key: value' on each line")
		return
	}
	if target, ok := v.Addr().Interface().(defaulter); ok {
		target.setDefaults(d.profile)
	}
	fields := fieldsOf(v)
	var unknown []*ast.MappingValueNode
	for it := section.MapRange(); it.Next(); {
		key, plain := it.Key().(*ast.StringNode)
		if !plain || !fields.byKey[key.Value].IsValid() {
			unknown = append(unknown, it.KeyValue())
			continue
		}
		d.decodeField(joinPath(path, key.Value), it.KeyValue(), fields.byKey[key.Value])
	}
	for _, pair := range unknown {
		d.reportUnknown(path, pair, fields.keys)
	}
}

func (d *document) decodeField(path string, pair *ast.MappingValueNode, field reflect.Value) {
	first, twice := d.lines[path]
	d.lines[path] = lineOf(pair.Key)
	if twice {
		d.report(path, fmt.Sprintf("is already set in line %d", first), "remove one of the two")
		return
	}
	d.decode(path, pair.Value, field)
}

// reportUnknown suggests the key that was probably meant. If that one is missing, this is why, and it is not reported.
func (d *document) reportUnknown(path string, pair *ast.MappingValueNode, known []string) {
	key := pair.Key.GetToken().Value
	child := joinPath(path, key)
	d.lines[child] = lineOf(pair.Key)
	meant := nearest(key, known)
	if meant == "" {
		d.report(child, "unknown key", "write one of "+strings.Join(known, ", "))
		return
	}
	d.report(child, "unknown key", "write "+meant)
	if _, set := d.lines[joinPath(path, meant)]; !set {
		d.blamed[joinPath(path, meant)] = true
	}
}

// reportNull is about 'key:' without anything behind it. For a section that could mean "with the defaults" or "off".
func (d *document) reportNull(path string, v reflect.Value) {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Struct {
		d.report(path, "has no value", "write {} for its defaults, or remove the line")
		return
	}
	d.report(path, "has no value", "write one, or remove the line")
}

func (d *document) decodeSlice(path string, node ast.Node, v reflect.Value) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.report(path, "is not a list", "write one '- item' on each line below it")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		child := fmt.Sprintf("%s[%d]", path, i)
		d.lines[child] = lineOf(item)
		d.decode(child, item, v.Index(i))
	}
}

func (d *document) decodeText(path string, node ast.Node, target encoding.TextUnmarshaler) {
	text := node.GetToken().Value
	_, isString := node.(*ast.StringNode)
	_, isNumber := node.(*ast.IntegerNode)
	if !isString && !isNumber || target.UnmarshalText([]byte(text)) != nil {
		want, example := describe(target)
		d.report(path, fmt.Sprintf("%q is not %s", text, want), "write "+example)
	}
}

func describe(target encoding.TextUnmarshaler) (want, example string) {
	switch target.(type) {
	case *netip.AddrPort:
		return "an IP address with a port", "for example 10.0.1.11:7400"
	case *netip.Addr:
		return "an IP address", "for example 10.0.1.11"
	case *netip.Prefix:
		return "a network", "for example 10.0.0.0/16"
	default:
		return "a range of HTTP status codes", "for example \"200-399\""
	}
}

func (d *document) decodeDuration(path string, node ast.Node, v reflect.Value) {
	text := node.GetToken().Value
	value, err := time.ParseDuration(text)
	if _, isString := node.(*ast.StringNode); !isString || err != nil {
		d.report(path, fmt.Sprintf("%q is not a duration", text), "write a number with a unit, for example 500ms, 2s or 1m30s")
		return
	}
	v.SetInt(int64(value))
}

func (d *document) decodeScalar(path string, node ast.Node, v reflect.Value) {
	text := node.GetToken().Value
	switch v.Kind() {
	case reflect.Bool:
		b, ok := node.(*ast.BoolNode)
		if !ok {
			d.report(path, fmt.Sprintf("%q is not a truth value", text), "write true or false")
			return
		}
		v.SetBool(b.Value)
	case reflect.Int:
		number, err := strconv.Atoi(text)
		if _, ok := node.(*ast.IntegerNode); !ok || err != nil {
			d.report(path, fmt.Sprintf("%q is not a whole number", text), "write digits only, without quotes")
			return
		}
		v.SetInt(int64(number))
	default:
		s, ok := node.(*ast.StringNode)
		if !ok {
			d.report(path, fmt.Sprintf("%q is not a text", text), "put it in quotes if it is meant as one")
			return
		}
		v.SetString(s.Value)
	}
}

// joinPath appends a key to a dotted path.
func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func lineOf(node ast.Node) int {
	if tk := node.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 1
}
