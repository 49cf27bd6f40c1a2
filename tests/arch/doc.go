// Package arch holds the project to its architecture: which package may import
// which, who alone may use a library, what code without I/O may not touch, the
// house rules of size and style, and that the documents say what the code does.
// The rules are tables, each line with its reason, so that whoever breaks a rule
// learns why it is there. The table of layers is read from docs/architecture.md.
//
// It reads only source text (go/parser) and Markdown, of all modules, so it needs
// no dependencies and sees files of all build tags.
package arch
