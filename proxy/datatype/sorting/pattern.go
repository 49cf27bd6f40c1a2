package sorting

import (
	"bytes"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/hash"
	"synod/proxy/datatype/str"
)

// pattern maps each item to a value: the string, or a hash field, at the key
// that results from replacing the first asterisk with the item. It is also the
// operation that reads the value, which is null if there is none.
type pattern struct {
	datatype.Reads
	self          bool // "#", the item itself
	names         bool // has an asterisk; without one, it would map all items to one value and is ignored
	before, after []byte
	field         []byte // of a hash; empty: none
}

func parsePattern(arg []byte) pattern {
	text := cString(arg)
	if string(text) == "#" {
		return pattern{self: true}
	}
	star := bytes.IndexByte(text, '*')
	if star < 0 {
		return pattern{}
	}
	p := pattern{names: true, before: arg[:star], after: arg[star+1:]}
	if i := bytes.Index(text[star+1:], []byte("->")); i >= 0 && star+1+i+2 < len(text) {
		p.after, p.field = p.after[:i], p.after[i+2:]
	}
	return p
}

// key returns the key for an item.
func (p *pattern) key(item []byte) []byte { return slices.Concat(p.before, item, p.after) }

// Needs implements operation.Operation.
func (p *pattern) Needs() register.Projection {
	if len(p.field) > 0 {
		return register.Projection{Keys: [][]byte{element.Key("", p.field)}}
	}
	return register.Projection{All: true}
}

// Execute implements operation.Operation.
func (p *pattern) Execute(v register.View, now int64) operation.Effect {
	switch {
	case len(p.field) == 0 && v.Header.Type == register.String:
		return datatype.Reply(resp.Bytes(str.Content(v)))
	case len(p.field) > 0 && v.Header.Type == register.Hash:
		return hash.Find(v, now, element.Key("", p.field), func(value []byte, exists bool) *resp.Value {
			if !exists {
				return resp.Nil
			}
			return resp.Bytes(value)
		})
	}
	return datatype.Reply(resp.Nil)
}
