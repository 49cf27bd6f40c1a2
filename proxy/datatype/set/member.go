package set

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

// add adds members.
type add struct {
	datatype.Writes
	puts     []register.Op // each for a different member, in element order
	keys     [][]byte      // of puts
	encoding uint8         // that the members require
}

// Add parses SADD key member [member ...].
func Add(args [][]byte) (operation.Operation, *resp.Value) {
	puts := puts(args[2:])
	return &add{puts: puts, keys: element.Keys(puts), encoding: encodingOf(args[2:])}, nil
}

func (o *add) Needs() register.Projection { return register.Projection{Keys: o.keys} }

func (o *add) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.Set); err != nil {
		return datatype.Reply(err)
	}
	ops, created := element.News(v, o.puts)
	reply := resp.Int(int64(created))
	if created == 0 {
		return datatype.Reply(reply)
	}
	return datatype.Changes(v.Header, grown(v.Header, created, o.encoding), ops, reply)
}

// Rem parses SREM key member [member ...].
func Rem(args [][]byte) (operation.Operation, *resp.Value) {
	return element.ParseRemove(register.Set, args[2:])
}

// Card parses SCARD key.
func Card([][]byte) (operation.Operation, *resp.Value) { return element.ParseSize(register.Set) }

// IsMember parses SISMEMBER key member.
func IsMember(args [][]byte) (operation.Operation, *resp.Value) {
	return element.ParseLookup(register.Set, "", args[2:], element.Exists)
}

// MIsMember parses SMISMEMBER key member [member ...].
func MIsMember(args [][]byte) (operation.Operation, *resp.Value) {
	return element.ParseLookup(register.Set, "", args[2:], element.Exist)
}

// Members parses SMEMBERS key.
func Members([][]byte) (operation.Operation, *resp.Value) {
	return element.ParseWhole(register.Set, reply)
}

// Scan parses SSCAN key cursor [MATCH pattern] [COUNT count].
func Scan(args [][]byte) (operation.Operation, *resp.Value) {
	return element.ParseScan(args, register.Set, "", func(elems []register.Element) []resp.Value {
		return element.Bulks(ordered(element.Members("", elems)))
	})
}

// RandMember parses SRANDMEMBER key [count].
func RandMember(args [][]byte) (operation.Operation, *resp.Value) {
	switch {
	case len(args) == 2:
		return element.ParseOne(register.Set, "", one)
	case len(args) > 3:
		return nil, resp.ErrSyntax
	}
	n, err := element.ParseCount(args[2])
	if err != nil {
		return nil, err
	}
	return element.ParseSample(register.Set, "", n, 1, func(elems []register.Element) *resp.Value {
		return resp.List(element.Bulks(element.Members("", elems))...)
	})
}

// one replies with the first member.
func one(elems []register.Element) *resp.Value { return resp.Bytes(element.Member("", elems[0].Key)) }

// reply replies with a set of members.
func reply(elems []register.Element) *resp.Value { return listed(element.Members("", elems)) }

// listed returns a reply with distinct members, which it may reorder.
func listed(members [][]byte) *resp.Value {
	return &resp.Value{Kind: resp.Set, Elems: element.Bulks(ordered(members))}
}

// ordered sorts a small set of integers, as Redis lists them. Any other order
// is arbitrary.
func ordered(members [][]byte) [][]byte {
	if len(members) > maxIntegers || encodingOf(members) != integers {
		return members
	}
	slices.SortFunc(members, func(a, b []byte) int {
		n, _ := number.ParseInt(a)
		m, _ := number.ParseInt(b)
		return cmp.Compare(n, m)
	})
	return members
}

// pop removes members at random.
type pop struct {
	datatype.Writes
	seed uint64
	n    int
	none *resp.Value // the reply if there is no set
	show func([]register.Element) *resp.Value
}

var errNotPositive = resp.Err("ERR value is out of range, must be positive")

// Pop parses SPOP key [count].
func Pop(args [][]byte) (operation.Operation, *resp.Value) {
	o := &pop{seed: element.Seed(), n: 1, none: resp.Nil, show: one}
	switch {
	case len(args) == 2:
		return o, nil
	case len(args) > 3:
		return nil, resp.ErrSyntax
	}
	n, ok := number.ParseInt(args[2])
	if !ok || n < 0 {
		return nil, errNotPositive
	}
	o.n, o.none, o.show = int(min(n, math.MaxInt32)), &resp.Value{Kind: resp.Set}, reply
	return o, nil
}

func (o *pop) Needs() register.Projection { return element.Places("", o.seed, o.n) }

func (o *pop) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.Set); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() || o.n == 0 {
		return datatype.Reply(o.none)
	}
	elems, need := element.Distinct(v, "", v.Header.Size, o.seed, o.n)
	if need != nil {
		return operation.Effect{Need: need}
	}
	if len(elems) == 0 {
		return datatype.Reply(o.none)
	}
	keys := make([][]byte, len(elems))
	for i, e := range elems {
		keys[i] = e.Key
	}
	slices.SortFunc(keys, bytes.Compare)
	return element.Without(v.Header, keys, o.show(elems))
}
