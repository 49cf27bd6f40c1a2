package command

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/str"
)

// machine is an in-memory database that runs commands from the table. It
// executes each operation in all possible modes and checks that the results
// agree.
type machine struct {
	t    testing.TB
	now  int64
	keys map[string]register.View
}

func newMachine(t testing.TB) *machine {
	return &machine{t: t, now: 1_700_000_000_000, keys: map[string]register.View{}}
}

// do runs a data command, or one that the table answers itself.
func (m *machine) do(args ...[]byte) *resp.Value {
	spec, err := Resolve(args)
	if err != nil {
		return err
	}
	switch {
	case spec.Local != nil:
		return spec.Local(args)
	case spec.Key != nil:
		op, err := spec.Key(args)
		if err != nil {
			return err
		}
		return m.run(args, args[spec.FirstKey], op, spec.Has(ReadOnly))
	case spec.Split != nil:
		s, err := spec.Split(args)
		if err != nil {
			return err
		}
		var results []*resp.Value
		keys, ops := s.Keys, s.Ops
		for len(ops) > 0 {
			for i, op := range ops {
				results = append(results, m.run(args, keys[i], op, s.Snapshot))
			}
			if ops = nil; s.Then != nil {
				keys, ops = s.Then(results)
			}
		}
		return s.Combine(results)
	}
	m.t.Fatalf("%q does not run on data", args)
	return nil
}

func (m *machine) text(args ...string) *resp.Value {
	var b [][]byte
	for _, a := range args {
		b = append(b, []byte(a))
	}
	return m.do(b...)
}

func (m *machine) state(key []byte) register.View {
	v, ok := m.keys[string(key)]
	if !ok || v.Header.Expired(m.now) {
		delete(m.keys, string(key))
		return register.Nothing()
	}
	return v
}

func (m *machine) size(key []byte) uint64 { return m.keys[string(key)].Header.Size }

func (m *machine) run(args [][]byte, key []byte, op operation.Operation, readOnly bool) *resp.Value {
	v := m.state(key)
	e := op.Execute(v, m.now)
	m.check(args, v, op, e, readOnly)
	if next := v.Apply(e.Change); next.Header.Exists() {
		m.checkString(args, next)
		m.keys[string(key)] = next
	} else {
		delete(m.keys, string(key))
	}
	return e.Result.(*resp.Value)
}

// check compares an effect with the results on other views of the state.
func (m *machine) check(args [][]byte, v register.View, op operation.Operation, e operation.Effect, readOnly bool) {
	m.t.Helper()
	changes := e.Change.Kind != register.None
	switch {
	case e.Need != nil:
		m.t.Fatalf("%.100q: asks for more than the whole state", args)
	case changes && (op.ReadOnly() || readOnly) && !fieldsDue(v.Header, m.now):
		m.t.Fatalf("%.100q: a read changes %+v", args, e.Change)
	case !v.Header.Exists() && e.Change.Kind == register.Delta:
		m.t.Fatalf("%.100q: a delta on nothing", args)
	case op.Blind() && e.Change.Kind != register.Full:
		m.t.Fatalf("%.100q: blind, but not full: %+v", args, e.Change)
	}
	if again := op.Execute(v, m.now); !sameEffect(e, again) {
		m.t.Fatalf("%.100q: executed twice:\n%s\n%s", args, show(e), show(again))
	}
	if op.Blind() {
		if blind := op.Execute(register.Nothing(), m.now); !sameEffect(e, blind) {
			m.t.Fatalf("%.100q: executed blindly:\n%s\n%s", args, show(e), show(blind))
		}
	}
	part := v.Project(op.Needs())
	for range 40 {
		p := op.Execute(part, m.now)
		if p.Need == nil {
			if !sameEffect(e, p) {
				m.t.Fatalf("%.100q: on a part of the state:\n%s\n%s", args, show(e), show(p))
			}
			return
		}
		if part.Covers(*p.Need) {
			m.t.Fatalf("%.100q: asks for data that it already has", args)
		}
		part = register.Join(part, v.Project(*p.Need))
	}
	m.t.Fatalf("%.100q: never stops asking for data", args)
}

// fieldsDue reports whether a hash may have expired fields, which reads then
// remove.
func fieldsDue(h register.Header, now int64) bool {
	return h.Type == register.Hash && len(h.Aux) > 0 && layout.Due(h) <= now
}

// checkString checks the invariants of a stored string.
func (m *machine) checkString(args [][]byte, v register.View) {
	m.t.Helper()
	if v.Header.Type != register.String {
		return
	}
	for _, e := range v.Elements() {
		if len(e.Key) != 4 || len(e.Value) > str.ChunkSize || len(e.Value) == 0 {
			m.t.Fatalf("%.100q: chunk %x of %d bytes", args, e.Key, len(e.Value))
		}
		index := uint64(e.Key[0])<<24 | uint64(e.Key[1])<<16 | uint64(e.Key[2])<<8 | uint64(e.Key[3])
		if end := index*str.ChunkSize + uint64(len(e.Value)); end > v.Header.Size {
			m.t.Fatalf("%.100q: chunk %d ends at %d of %d", args, index, end, v.Header.Size)
		}
	}
}

func sameEffect(a, b operation.Effect) bool {
	return a.Change.Kind == b.Change.Kind && reflect.DeepEqual(a.Change.Header, b.Change.Header) &&
		slices.EqualFunc(a.Change.Ops, b.Change.Ops, func(x, y register.Op) bool {
			return x.Kind == y.Kind && x.Offset == y.Offset && bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value)
		}) && bytes.Equal(encoded(a.Result, 3), encoded(b.Result, 3))
}

func encoded(result any, version int) []byte { return result.(*resp.Value).AppendTo(nil, version) }

func show(e operation.Effect) string {
	if e.Need != nil {
		return fmt.Sprintf("need %+v", *e.Need)
	}
	return fmt.Sprintf("%.200q change %.300s", encoded(e.Result, 3), fmt.Sprintf("%+v", e.Change))
}
