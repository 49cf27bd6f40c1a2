package hash

import (
	"bytes"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// most is how many expired fields one step removes, if there are more.
const most = 128

// look is how a read command sees a hash.
type look struct {
	header register.Header
	clock
	now  int64              // or the floor, if that is later
	past []register.Element // expired fields not yet reported as absent
}

func lookAt(h register.Header, now int64) look {
	c := clockOf(h)
	return look{header: h, clock: c, now: max(now, c.floor)}
}

// kind describes hashes to package element.
var kind = element.Kind{Type: register.Hash, Look: func(h register.Header, now int64) element.Look {
	l := lookAt(h, now)
	return &l
}}

// Live implements element.Look.
func (l *look) Live(e register.Element) bool {
	f := parse(e.Value)
	if !f.past(l.now) {
		return true
	}
	if !f.past(l.floor) {
		l.past = append(l.past, e)
	}
	return false
}

// get returns a field, if it exists.
func (l *look) get(v register.View, key []byte) (field, bool) {
	stored, exists := v.Get(key)
	if !exists || !l.Live(register.Element{Key: key, Value: stored}) {
		return field{}, false
	}
	return parse(stored), true
}

// Effect implements element.Look.
func (l *look) Effect(reply *resp.Value) operation.Effect {
	return operation.Effect{Change: l.removal(), Result: reply}
}

// removal is the change that removes the expired fields that were found;
// usually there are none.
func (l *look) removal() register.Change {
	if len(l.past) == 0 {
		return register.Change{}
	}
	slices.SortFunc(l.past, func(a, b register.Element) int { return bytes.Compare(a.Key, b.Key) })
	past := slices.CompactFunc(l.past, func(a, b register.Element) bool { return bytes.Equal(a.Key, b.Key) })
	if uint64(len(past)) >= l.header.Size {
		return register.Delete()
	}
	c := register.Change{Kind: register.Delta, Header: l.header}
	if len(past) > most {
		c.Header.Aux = clock{bound: l.bound, floor: l.now}.aux()
		return c
	}
	c.Header.Size -= uint64(len(past))
	c.Ops = make([]register.Op, 0, 2*len(past))
	for _, e := range past {
		c.Ops = append(c.Ops, register.Op{Kind: register.Remove, Key: e.Key},
			register.Op{Kind: register.Remove, Key: indexKey(parse(e.Value).expiry, e.Key)})
	}
	register.Sort(c.Ops)
	return c
}

// Live returns the hash without its expired fields, and the change that removes
// them. The view must cover the whole hash.
func Live(v register.View, now int64) (register.View, register.Change) {
	l := lookAt(v.Header, now)
	live := false
	for _, e := range members(v) {
		live = l.Live(e) || live
	}
	c := l.removal()
	if !live {
		c = register.Delete()
	}
	return v.Apply(c), c
}

// Find returns the effect of a command that reads one field of a hash; show
// builds the reply. The view must cover the element with the key.
func Find(v register.View, now int64, key []byte, show func(value []byte, exists bool) *resp.Value) operation.Effect {
	l := lookAt(v.Header, now)
	f, exists := l.get(v, key)
	return l.Effect(show(f.value, exists))
}

// lookup reads fields by name.
type lookup struct {
	datatype.Reads
	show func(l *look, v register.View, keys [][]byte) *resp.Value
	keys [][]byte
	one  [1][]byte // keys, if there is only one
}

func parseLookup(names [][]byte, show func(l *look, v register.View, keys [][]byte) *resp.Value) (*lookup, *resp.Value) {
	o := &lookup{show: show}
	o.keys = appendKeys(o.one[:0], names)
	return o, nil
}

// appendKeys appends the element keys of fields.
func appendKeys(keys, names [][]byte) [][]byte {
	keys = slices.Grow(keys, len(names))
	for _, name := range names {
		keys = append(keys, element.Key("", name))
	}
	return keys
}

func (o *lookup) Needs() register.Projection { return register.Projection{Keys: o.keys} }

func (o *lookup) Execute(v register.View, now int64) operation.Effect {
	if err := element.Check(v.Header, register.Hash); err != nil {
		return datatype.Reply(err)
	}
	l := lookAt(v.Header, now)
	return l.Effect(o.show(&l, v, o.keys))
}

// whole reads all fields.
type whole struct {
	datatype.Reads
	show func([]register.Element) *resp.Value
}

func (whole) Needs() register.Projection { return register.Projection{All: true} }

func (o whole) Execute(v register.View, now int64) operation.Effect {
	if err := element.Check(v.Header, register.Hash); err != nil {
		return datatype.Reply(err)
	}
	l := lookAt(v.Header, now)
	elems := element.Living(members(v), l.Live)
	return l.Effect(o.show(elems))
}
