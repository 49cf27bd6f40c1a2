package sim

import (
	"fmt"
	"strconv"
	"strings"

	"synod/protocol/operation"
	"synod/protocol/register"
)

// Kind is what an Op does. A register is a map of up to Fields fields; some
// operations are those of a Redis string, on the whole value, some those of a
// hash, on fields, so that full changes, deltas and partial views all occur.
type Kind uint8

// The operations.
const (
	Get       Kind = iota // one field
	GetAll                // the whole value
	Exists                // the header alone
	GetVia                // a field that names, by its length, another to be read: an extra read
	Set                   // blind: the value becomes one field
	SetEx                 // blind, with an expiry
	Append                // a field grows by the operation's id
	Append2               // two fields do
	AppendVia             // the field that another one names does: an extra read, then a write
	Incr                  // a counter
	SetNX                 // Set if there is no value
	AppendX               // Append if the field is there
	Remove                // a field
	Del                   // the value
	Expire                // an expiry for what is there
	Persist               // none any more
	Flush                 // a range tombstone: not run as an Operation
	Call                  // a command on a collection, out of the command table
	Snapshot              // GetAll of several registers at one moment: not run as an Operation
	kinds
)

var kindNames = [kinds]string{"GET", "GETALL", "EXISTS", "GETVIA", "SET", "SETEX", "APPEND", "APPEND2",
	"APPENDVIA", "INCR", "SETNX", "APPENDX", "REMOVE", "DEL", "EXPIRE", "PERSIST", "FLUSH", "CALL", "SNAPSHOT"}

// Fields is the number of fields of a register; the last one is the counter.
const Fields = 4

var fieldKeys = [Fields][]byte{{'a'}, {'b'}, {'c'}, {'n'}}

// Op is one operation on one register. It is a operation.Operation, and the
// input of the model that histories are compared with.
type Op struct {
	Kind   Kind
	ID     int // unique in the run
	Reg    int
	F, G   int   // fields
	Expiry int64 // Unix milliseconds, fixed when the operation is made
	Patch  bool  // write by Patch where that is possible

	// Of a Call: the command, and how it was asked for.
	command operation.Operation
	words   string
}

// Out is what an operation answered. Fields are comparable on purpose.
type Out struct {
	Existed bool // whether the register held a value
	Done    bool // whether the operation did what it is for
	Value   string
}

func (o *Op) String() string {
	if o.Kind == Call {
		return fmt.Sprintf("%s #%d", o.words, o.ID)
	}
	s := kindNames[o.Kind] + " " + regName(o.Reg)
	switch o.Kind {
	case Get, Append, AppendX, Remove, Set, SetEx, SetNX, GetVia, AppendVia:
		s += "." + string(fieldKeys[o.F])
	case Append2:
		s += "." + string(fieldKeys[o.F]) + string(fieldKeys[o.G])
	}
	if o.Expiry != 0 {
		s += fmt.Sprintf(" at %d", o.Expiry-epochWall-1000)
	}
	return s + " #" + strconv.Itoa(o.ID)
}

func (o Out) String() string {
	s := o.Value
	if !o.Existed {
		s += " (absent)"
	}
	if !o.Done {
		s += " (nothing)"
	}
	return s
}

func regName(r int) string {
	if r < 0 {
		return "all"
	}
	return "k" + strconv.Itoa(r)
}

func tag(id int) string { return "," + strconv.Itoa(id) }

// via is the field that the value of another one names.
func via(value string) int { return 1 + len(value)%2 }

// Needs implements operation.Operation.
func (o *Op) Needs() register.Projection {
	switch o.Kind {
	case Get, GetVia, Append, AppendVia, AppendX, Remove:
		return register.Projection{Keys: [][]byte{fieldKeys[o.F]}}
	case Append2:
		return register.Projection{Keys: [][]byte{fieldKeys[o.F], fieldKeys[o.G]}}
	case Incr:
		return register.Projection{Ranges: []register.Range{{From: fieldKeys[Fields-1]}}}
	case GetAll:
		return register.Projection{All: true}
	case Call:
		return o.command.Needs()
	}
	return register.Projection{}
}

// ReadOnly implements operation.Operation.
func (o *Op) ReadOnly() bool { return o.Kind <= GetVia || (o.Kind == Call && o.command.ReadOnly()) }

// Blind implements operation.Operation.
func (o *Op) Blind() bool { return o.Kind == Set || o.Kind == SetEx }

// Execute implements operation.Operation.
func (o *Op) Execute(v register.View, now int64) operation.Effect {
	exists := v.Header.Exists()
	switch o.Kind {
	case Set, SetEx:
		return operation.Effect{Result: Out{Done: true}, Change: o.whole(now)}
	case Get, GetAll, Exists, GetVia:
		return o.read(v)
	case SetNX:
		if exists {
			return operation.Effect{Result: Out{Existed: true}}
		}
		return operation.Effect{Result: Out{Done: true}, Change: o.whole(now)}
	case Del:
		if !exists {
			return operation.Effect{Result: Out{}}
		}
		return operation.Effect{Result: Out{Existed: true, Done: true}, Change: register.Delete()}
	case Expire, Persist:
		return o.expire(v, now)
	case Remove:
		return o.remove(v)
	case Call:
		return o.executeCall(v, now)
	}
	return o.append(v)
}

func (o *Op) read(v register.View) operation.Effect {
	out := Out{Existed: v.Header.Exists(), Done: true}
	switch o.Kind {
	case Get:
		out.Value = field(v, o.F)
	case GetAll:
		var b strings.Builder
		for _, e := range v.Elements() {
			fmt.Fprintf(&b, "%s%s ", e.Key, e.Value)
		}
		out.Value = b.String()
	case Exists:
		out.Value = strconv.Itoa(int(v.Header.Size))
	case GetVia:
		f := via(field(v, o.F))
		need := register.Projection{Keys: [][]byte{fieldKeys[f]}}
		if !v.Covers(need) {
			return operation.Effect{Need: &need}
		}
		out.Value = field(v, f)
	}
	return operation.Effect{Result: out}
}

func field(v register.View, f int) string {
	b, _ := v.Get(fieldKeys[f])
	return string(b)
}

// whole makes the value one field with the operation's id.
func (o *Op) whole(now int64) register.Change {
	if o.Expiry != 0 && o.Expiry <= now {
		return register.Delete()
	}
	return register.Change{Kind: register.Full, Header: register.Header{Type: register.Hash, Size: 1, Expiry: o.Expiry},
		Ops: []register.Op{{Key: fieldKeys[o.F], Value: []byte(tag(o.ID))}}}
}

func (o *Op) expire(v register.View, now int64) operation.Effect {
	if !v.Header.Exists() || (o.Kind == Persist && v.Header.Expiry == 0) {
		return operation.Effect{Result: Out{Existed: v.Header.Exists()}}
	}
	c := register.Change{Kind: register.Delta, Header: v.Header}
	c.Header.Expiry = o.Expiry
	if o.Expiry != 0 && o.Expiry <= now {
		c = register.Delete()
	}
	return operation.Effect{Result: Out{Existed: true, Done: true}, Change: c}
}

func (o *Op) remove(v register.View) operation.Effect {
	old, ok := v.Get(fieldKeys[o.F])
	out := Out{Existed: v.Header.Exists(), Done: ok, Value: string(old)}
	switch {
	case !ok:
		return operation.Effect{Result: out}
	case v.Header.Size == 1:
		return operation.Effect{Result: out, Change: register.Delete()}
	}
	c := register.Change{Kind: register.Delta, Header: v.Header, Ops: []register.Op{{Kind: register.Remove, Key: fieldKeys[o.F]}}}
	c.Header.Size--
	return operation.Effect{Result: out, Change: c}
}

// append is the operations that add to fields.
func (o *Op) append(v register.View) operation.Effect {
	out := Out{Existed: v.Header.Exists(), Done: true}
	c := register.Change{Kind: register.Delta, Header: v.Header}
	if !v.Header.Exists() {
		c = register.Change{Kind: register.Full, Header: register.Header{Type: register.Hash}}
	}
	add := func(f int) {
		old, ok := v.Get(fieldKeys[f])
		if !ok {
			c.Header.Size++
		}
		op := register.Op{Key: fieldKeys[f], Value: []byte(string(old) + tag(o.ID))}
		if o.Patch {
			op = register.Op{Kind: register.Patch, Key: fieldKeys[f], Offset: uint32(len(old)), Value: []byte(tag(o.ID))}
		}
		c.Ops = append(c.Ops, op)
		out.Value += string(old) + tag(o.ID)
	}
	switch o.Kind {
	case Append:
		add(o.F)
	case AppendX:
		if _, ok := v.Get(fieldKeys[o.F]); !ok {
			out.Done = false
			return operation.Effect{Result: out}
		}
		add(o.F)
	case Append2:
		add(o.F)
		add(o.G)
	case AppendVia:
		f := via(field(v, o.F))
		need := register.Projection{Keys: [][]byte{fieldKeys[f]}}
		if !v.Covers(need) {
			return operation.Effect{Need: &need}
		}
		add(f)
	case Incr:
		old, ok := v.Get(fieldKeys[Fields-1])
		if !ok {
			c.Header.Size++
		}
		n, _ := strconv.Atoi(string(old))
		out.Value = strconv.Itoa(n + 1)
		c.Ops = []register.Op{{Key: fieldKeys[Fields-1], Value: []byte(out.Value)}}
	}
	return operation.Effect{Result: out, Change: c}
}
