package program

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// readYAML reads a configuration file: a mapping from flag names to values. A
// list stands for a flag that takes several values.
func readYAML(r io.Reader) (kong.Resolver, error) {
	file := file{name: "configuration file", values: make(map[string]string), lines: make(map[string]int)}
	if f, ok := r.(*os.File); ok {
		file.name = f.Name()
	}
	var doc yaml.Node
	switch err := yaml.NewDecoder(r).Decode(&doc); {
	case errors.Is(err, io.EOF): // empty, or comments only
		return &file, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file.name, err)
	}
	top := doc.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return &file, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: expected lines like `flag: value`", file.name, top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		if err := file.add(top.Content[i], top.Content[i+1]); err != nil {
			return nil, err
		}
	}
	return &file, nil
}

// file is a configuration file as a source of flags' values.
type file struct {
	name   string
	values map[string]string // by flag name
	lines  map[string]int
}

func (f *file) add(key, value *yaml.Node) error {
	name := key.Value
	if first, ok := f.lines[name]; ok {
		return fmt.Errorf("%s:%d: key %q stands in line %d already", f.name, key.Line, name, first)
	}
	f.lines[name] = key.Line
	switch value.Kind {
	case yaml.ScalarNode:
		if value.Tag == "!!null" {
			return fmt.Errorf("%s:%d: key %q has no value", f.name, key.Line, name)
		}
		f.values[name] = value.Value
		return nil
	case yaml.SequenceNode:
		var items []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				return fmt.Errorf("%s:%d: key %q: expected a list of plain values", f.name, item.Line, name)
			}
			items = append(items, item.Value)
		}
		f.values[name] = strings.Join(items, ",")
		return nil
	default:
		return fmt.Errorf("%s:%d: key %q: expected a value or a list", f.name, key.Line, name)
	}
}

// Validate rejects keys that are not flags of the program.
func (f *file) Validate(app *kong.Application) error {
	known := flagNames(app.Node, nil)
	for _, name := range slices.Sorted(maps.Keys(f.lines)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s:%d: unknown key %q; known are %s", f.name, f.lines[name], name, strings.Join(known, ", "))
		}
	}
	return nil
}

// Resolve returns the file's value for a flag, unless its environment variable
// is set, which takes precedence.
func (f *file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	if v, ok := f.values[flag.Name]; ok {
		return v, nil
	}
	return nil, nil
}

// flagNames returns the sorted names of all flags allowed in a file.
func flagNames(node *kong.Node, names []string) []string {
	for _, flag := range node.Flags {
		switch flag.Name {
		case "help", "version", "config":
		default:
			names = append(names, flag.Name)
		}
	}
	for _, child := range node.Children {
		names = flagNames(child, names)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
