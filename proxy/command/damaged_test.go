package command

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"

	"synod/protocol/register"
)

// TestDamagedStates checks that commands reply without panicking on states that
// are inconsistent or that no command creates.
func TestDamagedStates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	lists := listScript{script{Rand: rng, forms: listForms}}
	scripts := []func() [][]byte{newMemberScript(1).next, newScoreScript(1).next, lists.next, newStreamScript(2).next, newGeoScript(1).next}
	m := newMachine(t)
	for n := range 20_000 {
		args := scripts[n%len(scripts)]()
		spec, failure := Resolve(args)
		if failure != nil || spec.Key == nil {
			continue
		}
		executeOn(t, args, spec, damaged(rng, m.state(args[spec.FirstKey])))
		m.do(args...)
	}
}

// executeOn executes a command on the part of a state that it asks for.
func executeOn(t *testing.T, args [][]byte, spec *Spec, v register.View) {
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%.200q on %.500s: %v\n%s", args, fmt.Sprintf("%+v", v), p, debug.Stack())
		}
	}()
	op, failure := spec.Key(args)
	if failure != nil {
		return
	}
	const now = 1_700_000_000_000
	part := v.Project(op.Needs())
	e := op.Execute(part, now)
	for e.Need != nil && !part.Whole() {
		part = register.Join(part, v.Project(*e.Need))
		e = op.Execute(part, now)
	}
	if e.Need != nil {
		t.Fatalf("%.200q asks for more than the whole state", args)
	}
	v.Apply(e.Change)
}

// damaged returns a state with some faults.
func damaged(rng *rand.Rand, v register.View) register.View {
	h, elems := v.Header, slices.Clone(v.Elements())
	h.Aux = slices.Clone(h.Aux)
	scratch := func(b []byte) []byte {
		b = slices.Clone(b)
		if len(b) > 0 {
			b[rng.IntN(len(b))] = byte(rng.IntN(256))
		}
		return b[:len(b)-rng.IntN(2)*rng.IntN(len(b)+1)]
	}
	for range 1 + rng.IntN(3) {
		switch rng.IntN(5) {
		case 0:
			h.Type = register.Type(1 + rng.IntN(6))
		case 1:
			h.Size = []uint64{0, 1, uint64(len(elems)) + 1, 1 << 10}[rng.IntN(4)]
		case 2:
			h.Aux = scratch(h.Aux)
		case 3:
			h.Encoding = uint8(rng.IntN(3))
		}
		if len(elems) == 0 {
			continue
		}
		at := rng.IntN(len(elems))
		switch rng.IntN(4) {
		case 0:
			elems = slices.Delete(elems, at, at+1)
		case 1:
			elems[at].Value = scratch(elems[at].Value)
		case 2:
			elems[at].Key = scratch(elems[at].Key)
		}
	}
	slices.SortFunc(elems, func(a, b register.Element) int { return bytes.Compare(a.Key, b.Key) })
	elems = slices.CompactFunc(elems, func(a, b register.Element) bool { return bytes.Equal(a.Key, b.Key) })
	return register.NewView(h, register.Knowledge{All: true}, elems)
}
