package sim

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

// value is a register as the specification knows it. It is comparable.
type value struct {
	exists bool
	fields [Fields]string // "" is none: no operation stores an empty field
	expiry int64
	state  string // of a collection, which has no fields: the whole of it
}

// input is an operation in a history with what bounds its clocks.
type input struct {
	op *Op
	// lowest is the lowest wall clock that any process had when the operation
	// was called, highest the highest when it returned.
	lowest, highest int64
	regs            []int // of a Snapshot

	// Of an operation that a client pipelined: whose it is, and its place among
	// that client's, above zero.
	client, place int
}

// output is an operation's answer; that of an unknown outcome is none.
type output struct {
	known bool
	out   Out
	outs  []Out // of a Snapshot
}

// states returns what v may be when it is read: itself, or nothing if it, or
// everything in it, may have expired by some clock. Clocks differ, so the
// moment is not determined; but once v was seen absent, it stays absent.
func (v value) states(in *input) (as [2]value, n int) {
	if v.state != "" {
		as[0], n = v, 1
		if all := reaped(v.whole(), in.highest); !all[len(all)-1].Header.Exists() {
			as[1], n = value{}, 2
		}
		return as, n
	}
	if !v.exists || v.expiry == 0 {
		as[0] = v
		return as, 1
	}
	if in.lowest < v.expiry {
		as[0], n = v, 1
	}
	if in.highest >= v.expiry {
		as[n] = value{}
		n++
	}
	return as, n
}

// maxClients bounds the clients of a run.
const maxClients = 8

// ordered is a register with the places of the operations that each client
// pipelined and that took effect last: they do so in order.
type ordered struct {
	value
	last [maxClients]int
}

func (s ordered) steps(in *input, o *output) (next []ordered) {
	if in.place > 0 && o.known {
		if in.place < s.last[in.client] {
			return nil
		}
		s.last[in.client] = in.place
	}
	for _, s.value = range s.value.steps(in, o.known, o.out) {
		next = append(next, s)
	}
	return next
}

// steps returns the states that an operation with this outcome may lead to.
func (v value) steps(in *input, known bool, out Out) (next []value) {
	switch {
	case in.op.Blind(), in.op.Kind == Flush: // does not look
		after, _ := v.apply(in.op)
		return []value{after}
	case in.op.Kind == Call:
		return v.callSteps(in, known, out)
	}
	as, m := v.states(in)
	for _, s := range as[:m] {
		after, expected := s.apply(in.op)
		if (!known || out == expected) && !slices.Contains(next, after) {
			next = append(next, after)
		}
	}
	return next
}

// apply is the specification of the operations, but of Calls.
func (v value) apply(o *Op) (after value, out Out) {
	one := func() value {
		w := value{exists: true, expiry: o.Expiry}
		w.fields[o.F] = tag(o.ID)
		return w
	}
	after, out = v, Out{Existed: v.exists, Done: true}
	add := func(f int) {
		after.exists = true
		after.fields[f] += tag(o.ID)
		out.Value += after.fields[f]
	}
	switch o.Kind {
	case Get:
		out.Value = v.fields[o.F]
	case GetVia:
		out.Value = v.fields[via(v.fields[o.F])]
	case GetAll:
		out.Value = v.String()
	case Exists:
		out.Value = strconv.Itoa(v.size())
	case Set, SetEx:
		return one(), Out{Done: true}
	case SetNX:
		if v.exists {
			return v, Out{Existed: true}
		}
		return one(), Out{Done: true}
	case Append:
		add(o.F)
	case AppendX:
		if out.Done = v.fields[o.F] != ""; out.Done {
			add(o.F)
		}
	case Append2:
		add(o.F)
		add(o.G)
	case AppendVia:
		add(via(v.fields[o.F]))
	case Incr:
		n, _ := strconv.Atoi(v.fields[Fields-1])
		out.Value = strconv.Itoa(n + 1)
		after.exists = true
		after.fields[Fields-1] = out.Value
	case Remove:
		out.Value = v.fields[o.F]
		out.Done = out.Value != ""
		after.fields[o.F] = ""
	case Del:
		return value{}, Out{Existed: v.exists, Done: v.exists}
	case Flush:
		return value{}, Out{}
	case Expire, Persist:
		out.Done = v.exists && (o.Kind == Expire || v.expiry != 0)
		if v.exists {
			after.expiry = o.Expiry
		}
	}
	if after.size() == 0 {
		after = value{}
	}
	return after, out
}

func (v value) size() (n int) {
	for _, f := range v.fields {
		if f != "" {
			n++
		}
	}
	return n
}

// String prints the fields as GetAll answers them.
func (v value) String() string {
	var b strings.Builder
	for i, f := range v.fields {
		if f != "" {
			b.Write(fieldKeys[i])
			b.WriteString(f)
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// MaxRegs limits the registers of a run.
const MaxRegs = 4

// values is all registers, for histories with snapshots.
type values [MaxRegs]value

// step returns the states that an operation may lead to.
func (vs values) steps(in *input, o *output) []any {
	if in.op.Kind == Snapshot {
		if !o.known {
			return []any{vs}
		}
		// What is answered tells for each register whether it had expired.
		for i, r := range in.regs {
			next := vs[r].steps(&input{op: &Op{Kind: GetAll}, lowest: in.lowest, highest: in.highest}, true, o.outs[i])
			if len(next) == 0 {
				return nil
			}
			vs[r] = next[0]
		}
		return []any{vs}
	}
	next := vs[in.op.Reg].steps(in, o.known, o.out)
	all := make([]any, len(next))
	for i := range all {
		w := vs
		w[in.op.Reg] = next[i]
		all[i] = w
	}
	return all
}

var hashSeed = maphash.MakeSeed()

// singleModel is the model of one register. States that an unknown outcome
// leaves open are kept side by side; most histories know all.
func singleModel(nondeterministic bool) porcupine.Model {
	if nondeterministic {
		m := porcupine.NondeterministicModel{
			Init: func() []any { return []any{ordered{}} },
			Step: func(s, in, out any) []any {
				next := s.(ordered).steps(in.(*input), out.(*output))
				all := make([]any, len(next))
				for i := range all {
					all[i] = next[i]
				}
				return all
			},
			Hash: func(s any) uint64 { return maphash.Comparable(hashSeed, s.(ordered)) },
		}
		return m.ToModel()
	}
	return porcupine.Model{
		Init: func() any { return ordered{} },
		Step: func(s, in, out any) (bool, any) {
			next := s.(ordered).steps(in.(*input), out.(*output))
			switch len(next) {
			case 0:
				return false, s
			case 1:
				return true, next[0]
			}
			panic(fmt.Sprintf("sim: several outcomes of %v", in.(*input).op))
		},
		Hash: func(s any) uint64 { return maphash.Comparable(hashSeed, s.(ordered)) },
	}
}

// wholeModel is the model of all registers together.
func wholeModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{values{}} },
		Step: func(s, in, out any) []any { return s.(values).steps(in.(*input), out.(*output)) },
		Hash: func(s any) uint64 { return maphash.Comparable(hashSeed, s.(values)) },
	}
	return m.ToModel()
}
