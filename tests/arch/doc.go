// Package arch holds the project to its architecture: which package may import
// which, who alone may use a library, what code without I/O may not touch, and
// the house rules of size and style. The rules are tables, each line with the
// reason for it, so that who breaks one learns why it is there.
//
// It reads source text alone (go/parser), of every module, so it needs no
// dependencies and sees files of all build tags.
package arch
