package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// schemas is what one provider offers.
type schemas struct {
	provider    *tfprotov6.Schema
	resources   map[string]*tfprotov6.Schema
	dataSources map[string]*tfprotov6.Schema
}

// The generated sources are regular; these patterns name the parts that carry a schema.
const (
	sourceMap = `(?m)^//# sourceMappingURL=data:application/json;base64,(\S+)`
	// class Instance extends cdktf.TerraformResource { ... }
	class = `(?ms)^export class (\w+) extends cdktf\.(\w+) \{$(.*?)^\}`
	// public static readonly tfResourceType = "aws_instance";
	resourceType = `tfResourceType = "(\w+)"`
	// function instanceRootBlockDeviceToHclTerraform(struct?: ...): any { ... }
	converter = `(?ms)^export function (\w+)ToHclTerraform\(.*?\{$(.*?)^\}`
	// The arguments, as in: volume_size: { value: ..., isBlock: false, type: "simple", storageClassType: "number", },
	argument = `(?m)^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",`
	// Whose converter a block's value goes through.
	nested = `(?:^|[ (,])(\w+)ToHclTerraform`
	// volume_id - computed: true, optional: false, required: false
	flags = `(?m)^ +// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)$`
	// How results that cannot be set are read: this.getStringAttribute('volume_id'), new cdktf.StringMap(this, "tags_all").
	getter = `(?:get(\w+)Attribute\('|new cdktf\.(\w+)\(this, ")(\w+)['"]`
)

// find returns every match of a pattern with its groups.
func find(pattern, text string) [][]string {
	return regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
}

// readBindings reads the bindings below dir, one index.js for each resource.
func readBindings(dir string) (schemas, error) {
	all := schemas{resources: map[string]*tfprotov6.Schema{}, dataSources: map[string]*tfprotov6.Schema{}}
	files, err := filepath.Glob(filepath.Join(dir, "*", "index.js"))
	if err != nil {
		return all, err
	}
	for _, file := range files {
		source, err := readSource(file)
		if err != nil {
			return all, fmt.Errorf("read %s: %w", file, err)
		}
		if err := all.add(source); err != nil {
			return all, fmt.Errorf("read %s: %w", file, err)
		}
	}
	if all.provider == nil {
		return all, errors.New("no provider among " + dir)
	}
	return all, nil
}

// readSource returns the TypeScript that file was compiled from; it has what JavaScript leaves out.
func readSource(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	match := find(sourceMap, string(data))
	if len(match) != 1 {
		return "", errors.New("no source map")
	}
	text, err := base64.StdEncoding.DecodeString(match[0][1])
	if err != nil {
		return "", err
	}
	var decoded struct {
		SourcesContent []string `json:"sourcesContent"`
	}
	if err := json.Unmarshal(text, &decoded); err != nil {
		return "", err
	}
	if len(decoded.SourcesContent) != 1 {
		return "", fmt.Errorf("%d sources in the source map instead of one", len(decoded.SourcesContent))
	}
	return decoded.SourcesContent[0], nil
}

// add takes over the one resource, data source or provider that source declares.
func (s *schemas) add(source string) error {
	file := parse(source)
	for _, c := range file.classes {
		schema := &tfprotov6.Schema{}
		switch c.kind {
		case "TerraformProvider":
			s.provider = schema
		case "TerraformResource":
			s.resources[c.resource] = schema
		case "TerraformDataSource":
			s.dataSources[c.resource] = schema
		default:
			continue
		}
		block, err := file.block(c, find(argument, c.body))
		if err != nil {
			return err
		}
		schema.Block = block
		return nil
	}
	return errors.New("declares neither a resource nor a data source nor a provider")
}

// parsed is one source file, taken apart.
type parsed struct {
	classes    map[string]classBody
	converters map[string]string // by the name of the structure, first letter small
}

type classBody struct{ kind, resource, body string }

func parse(source string) parsed {
	p := parsed{classes: map[string]classBody{}, converters: map[string]string{}}
	for _, m := range find(class, source) {
		c := classBody{kind: m[2], body: m[3]}
		if r := find(resourceType, c.body); len(r) > 0 {
			c.resource = r[0][1]
		}
		p.classes[m[1]] = c
	}
	for _, m := range find(converter, source) {
		p.converters[m[1]] = m[2]
	}
	return p
}

// block builds the schema of a class from its arguments, as argument matched them, and its results.
func (p parsed) block(c classBody, arguments [][]string) (*tfprotov6.SchemaBlock, error) {
	block := &tfprotov6.SchemaBlock{}
	uses, results := map[string][]string{}, map[string]tftypes.Type{}
	for _, m := range find(flags, c.body) {
		uses[m[1]] = m[2:]
	}
	for _, m := range find(getter, c.body) {
		results[m[3]] = resultType(m[1] + m[2])
	}
	for _, m := range arguments {
		name, value, isBlock, collection, storage := m[1], m[2], m[3] == "true", m[4], m[5]
		if isBlock {
			inner, err := p.nestedBlock(name, value, collection)
			if err != nil {
				return nil, err
			}
			block.BlockTypes = append(block.BlockTypes, inner)
		} else {
			block.Attributes = append(block.Attributes, attribute(name, argumentType(collection, storage), uses[name]))
		}
		delete(uses, name)
	}
	for name, use := range uses {
		kind, known := results[name]
		if !known {
			kind = tftypes.DynamicPseudoType
		}
		block.Attributes = append(block.Attributes, attribute(name, kind, use))
	}
	return block, nil
}

func (p parsed) nestedBlock(name, value, collection string) (*tfprotov6.SchemaNestedBlock, error) {
	m := find(nested, value)
	if len(m) == 0 {
		return nil, fmt.Errorf("block %s: no converter in %q", name, value)
	}
	structure := strings.ToUpper(m[0][1][:1]) + m[0][1][1:]
	inner, err := p.block(p.classes[structure+"OutputReference"], find(argument, p.converters[m[0][1]]))
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", name, err)
	}
	nesting := map[string]tfprotov6.SchemaNestedBlockNestingMode{
		"list": tfprotov6.SchemaNestedBlockNestingModeList, "set": tfprotov6.SchemaNestedBlockNestingModeSet,
		"struct": tfprotov6.SchemaNestedBlockNestingModeSingle,
	}[collection]
	if nesting == tfprotov6.SchemaNestedBlockNestingModeInvalid {
		return nil, fmt.Errorf("block %s: unknown nesting %q", name, collection)
	}
	return &tfprotov6.SchemaNestedBlock{TypeName: name, Block: inner, Nesting: nesting}, nil
}

// attribute reads use as flags matched it: computed, optional, required. Nil means a plain argument.
func attribute(name string, kind tftypes.Type, use []string) *tfprotov6.SchemaAttribute {
	a := &tfprotov6.SchemaAttribute{Name: name, Type: kind}
	if use != nil {
		a.Computed, a.Optional, a.Required = use[0] == "true", use[1] == "true", use[2] == "true"
	}
	a.Optional = a.Optional || !a.Computed && !a.Required
	return a
}

// argumentType returns the type of an argument. Lists of structures that are no blocks are not looked into.
func argumentType(collection, storage string) tftypes.Type {
	element := map[string]tftypes.Type{
		"string": tftypes.String, "number": tftypes.Number, "boolean": tftypes.Bool,
		"stringList": tftypes.String, "numberList": tftypes.Number, "stringMap": tftypes.String, "booleanMap": tftypes.Bool,
	}[storage]
	switch {
	case element == nil:
		return tftypes.DynamicPseudoType
	case collection == "list":
		return tftypes.List{ElementType: element}
	case collection == "set":
		return tftypes.Set{ElementType: element}
	case collection == "map":
		return tftypes.Map{ElementType: element}
	default:
		return element
	}
}

// resultType returns the type of a result by how the bindings read it.
func resultType(reader string) tftypes.Type {
	switch reader {
	case "String":
		return tftypes.String
	case "Number":
		return tftypes.Number
	case "Boolean":
		return tftypes.Bool
	case "List", "StringList":
		return tftypes.List{ElementType: tftypes.String}
	case "StringMap":
		return tftypes.Map{ElementType: tftypes.String}
	default:
		return tftypes.DynamicPseudoType
	}
}
