package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is what the import paths of all the project's modules begin with.
const module = "synod"

// File is one Go file.
type File struct {
	Path   string // within the project, with slashes
	Text   string
	Syntax *ast.File
	Lines  int
}

// Package returns the directory of the file, which is its import path without
// the module: "proxy/command".
func (f *File) Package() string { return path.Dir(f.Path) }

// Test tells whether only tests are built with the file.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Imports returns the paths that the file imports, and where.
func (f *File) Imports() map[string]token.Pos {
	found := make(map[string]token.Pos, len(f.Syntax.Imports))
	for _, spec := range f.Syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			found[p] = spec.Pos()
		}
	}
	return found
}

// local returns the name that the file has for an imported package: "" if it
// does not import it.
func (f *File) local(importPath string) string {
	for _, spec := range f.Syntax.Imports {
		if spec.Path.Value != strconv.Quote(importPath) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// Tree is the project's source and its documents.
type Tree struct {
	Files []*File
	Pages map[string]string // Markdown files by path
	Paths map[string]bool   // of all files and folders
	// Transcripts are the traces of tests/paxostest, by their files' names without
	// the ending.
	Transcripts map[string]string
	Layers      []Layer // of docs/architecture.md
	Makefile    string
	fset        *token.FileSet
}

// Packages returns the files of each directory.
func (t *Tree) Packages() map[string][]*File {
	packages := make(map[string][]*File)
	for _, f := range t.Files {
		packages[f.Package()] = append(packages[f.Package()], f)
	}
	return packages
}

func (t *Tree) position(p token.Pos) string {
	at := t.fset.Position(p)
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

func (t *Tree) lines(n ast.Node) int {
	return t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
}

// Parse makes a tree of sources by path.
func Parse(sources map[string]string) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	for name, source := range sources {
		syntax, err := parser.ParseFile(t.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		t.Files = append(t.Files, &File{Path: name, Text: source, Syntax: syntax, Lines: strings.Count(source, "\n")})
	}
	slices.SortFunc(t.Files, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
	return t, nil
}

// transcripts is the folder of tests/paxostest's transcripts, tracesFolder that of
// those which show why a rule is needed.
const (
	transcripts  = "tests/paxostest/testdata"
	tracesFolder = transcripts + "/traces"
)

// Read makes a tree of all Go files, Markdown pages and transcripts below a
// directory. Directories that the go command passes over are passed over, but for
// that of the transcripts.
func Read(root string) (*Tree, error) {
	sources, pages, traces, paths := make(map[string]string), make(map[string]string), make(map[string]string), make(map[string]bool)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		paths[rel] = true
		base := d.Name()
		if d.IsDir() {
			if name != root && (base == "testdata" && rel != transcripts || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		into := sources
		switch path.Ext(base) {
		case ".go":
		case ".md":
			into = pages
		case ".txt":
			if path.Dir(rel) != tracesFolder {
				return nil
			}
			into, rel = traces, strings.TrimSuffix(base, ".txt")
		default:
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		into[rel] = string(text)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	t, err := Parse(sources)
	if err != nil {
		return nil, err
	}
	t.Pages, t.Paths, t.Transcripts = pages, paths, traces
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return nil, fmt.Errorf("read the Makefile: %w", err)
	}
	t.Makefile = string(makefile)
	if t.Layers, err = parseLayers(pages[layersPage]); err != nil {
		return nil, fmt.Errorf("%s: %w", layersPage, err)
	}
	return t, nil
}
