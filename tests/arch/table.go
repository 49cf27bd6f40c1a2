package arch

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// layersPage has the table of layers.
const layersPage = "docs/architecture.md"

// Layer is one layer of the architecture. Its packages may import one another
// and those of the layers behind it.
type Layer struct {
	Name     string
	Packages []string // patterns, see matches
}

var inBackticks = regexp.MustCompile("`([^`]+)`")

// parseLayers reads the layers, from the top, out of the table whose first two
// columns are "layer" and "package". A row without a name belongs to the layer
// above it.
func parseLayers(page string) ([]Layer, error) {
	rows := tableRows(page, "layer", "package")
	if len(rows) == 0 {
		return nil, errors.New("no table of layers")
	}
	var layers []Layer
	seen := make(map[string]bool)
	for _, cells := range rows {
		switch name := cells[0]; {
		case name != "" && slices.ContainsFunc(layers, func(l Layer) bool { return l.Name == name }):
			return nil, fmt.Errorf("layer %q stands twice", name)
		case name != "":
			layers = append(layers, Layer{Name: name})
		case len(layers) == 0:
			return nil, errors.New("the first row names no layer")
		}
		packages := inBackticks.FindAllStringSubmatch(cells[1], -1)
		if len(packages) == 0 {
			return nil, fmt.Errorf("a row of layer %q names no package", layers[len(layers)-1].Name)
		}
		for _, m := range packages {
			if seen[m[1]] {
				return nil, fmt.Errorf("package %s stands twice", m[1])
			}
			seen[m[1]] = true
			last := &layers[len(layers)-1]
			last.Packages = append(last.Packages, m[1])
		}
	}
	return layers, nil
}

// tableRows returns the cells of the rows of the Markdown tables whose heading
// begins with the columns given.
func tableRows(page string, columns ...string) (rows [][]string) {
	wanted := false
	lines := strings.Split(page, "\n")
	for i, line := range lines {
		cells := tableCells(line)
		switch {
		case len(cells) == 0:
			wanted = false
		case i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|--"):
			wanted = len(cells) >= len(columns) && slices.Equal(cells[:len(columns)], columns)
		case wanted && !strings.HasPrefix(line, "|--") && len(cells) >= len(columns):
			rows = append(rows, cells)
		}
	}
	return rows
}

// tableCells returns the cells of a line of a Markdown table, nil of any other
// line.
func tableCells(line string) []string {
	line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil
	}
	cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}
