package commandtest

import (
	"bytes"
	"strings"

	"synod/proxy/command"
)

// Each kind of value has its own keys, where it is usually found. All kinds
// share the shared keys.
const (
	texts    = "str"
	hashes   = "hash"
	lists    = "list"
	sets     = "set"
	zsets    = "zset"
	streams  = "stream"
	sketches = "hll"
	places   = "geo"
	// equals are sorted sets in which all scores are 0. With other scores,
	// ranges by name have an undefined order.
	equals = "lex"
	// shorts are strings for LCS, whose cost is the product of their lengths.
	shorts = "lcs"
)

var kinds = []string{texts, hashes, lists, sets, zsets, streams, sketches, places, equals}

// kindOf is the kind of value for a group of commands.
var kindOf = map[string]string{
	"string": texts, "bitmap": texts, "hash": hashes, "list": lists, "set": sets, "sorted-set": zsets,
	"stream": streams, "hyperloglog": sketches, "geo": places,
}

// shared are keys at which values of all types are found.
var shared = []string{"", "a[b]?*\\", "bin\x00\xff\r\n*", strings.Repeat("long", 80)}

// keyOf returns a key of the kind.
func (g *Generator) keyOf(kind string) string {
	return Pick(g.Source, kind+"1", kind+"1", kind+"1", kind+"1", kind+"2", kind+"2", "{"+kind+"}3")
}

// key returns a key that usually holds the kind of value.
func (g *Generator) key(kind string) string {
	switch n := g.IntN(50); {
	case g.home:
		return kind + "1"
	case n < 4:
		return Pick(g.Source, shared...)
	case n == 4:
		return g.keyOf(Pick(g.Source, append(kinds, shorts)...))
	case n == 5 && (g.req.spec == nil || !g.req.spec.Has(command.DenyOOM)):
		return "nosuch"
	case kind == sets && n < 9 || kind == places && n == 9 || kind == zsets && n == 10 && g.req.spec.Has(command.ReadOnly):
		return g.keyOf(Pick(g.Source, zsets, places, equals))
	case kind == zsets && n < 20 && g.req.numKeys > 0:
		return g.keyOf(sets) // sorted set algebra accepts sets
	}
	return g.keyOf(kind)
}

// anyKey returns a key of any kind.
func (g *Generator) anyKey() string { return g.key(Pick(g.Source, g.focus...)) }

// Key is anyKey, for external request generators.
func (g *Generator) Key() []byte { return []byte(g.anyKey()) }

// reserved reports whether a key is reserved for the kind.
func reserved(key []byte, kind string) bool {
	return bytes.HasPrefix(key, []byte(kind)) || bytes.HasPrefix(key, []byte("{"+kind+"}"))
}
