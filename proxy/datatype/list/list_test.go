package list

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
)

// state is a list under test, and its expected content.
type state struct {
	t     *testing.T
	draft register.Draft
	model []string
	ops   int // elements changed by all operations
	most  int // maximum of one operation
}

func newState(t *testing.T, items ...string) *state {
	s := &state{t: t, draft: register.NewDraft(register.Nothing()), model: items}
	var all [][]byte
	for _, item := range items {
		all = append(all, []byte(item))
	}
	h, ops := Build(all)
	s.draft.Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
	return s
}

type parser func(args [][]byte) (operation.Operation, *resp.Value)

func (s *state) run(parse parser, args ...string) *resp.Value {
	s.t.Helper()
	words := [][]byte{nil, nil}
	for _, a := range args {
		words = append(words, []byte(a))
	}
	op, err := parse(words)
	if err != nil {
		s.t.Fatalf("%q: %s", args, err.Str)
	}
	e := op.Execute(s.draft.View(), 0)
	if e.Need != nil {
		s.t.Fatalf("%q: asks for more than the whole state", args)
	}
	s.draft.Apply(e.Change)
	s.ops += len(e.Change.Ops)
	s.most = max(s.most, len(e.Change.Ops))
	return e.Result.(*resp.Value)
}

// insert runs LINSERT on the list and on the model.
func (s *state) insert(where string, pivot int, item string) {
	s.run(LInsert, where, s.model[pivot], item)
	if where == "AFTER" {
		pivot++
	}
	s.model = slices.Insert(s.model, pivot, item)
}

// check compares the list with the model, and its labels with the header.
func (s *state) check() {
	s.t.Helper()
	v := s.draft.View()
	l, err := open(v)
	elems := v.Elements()
	if err != nil || len(elems) != len(s.model) || l.size() != uint64(len(elems)) {
		s.t.Fatalf("%d elements, size %d, want %d", len(elems), l.size(), len(s.model))
	}
	for i, e := range elems {
		if string(e.Value) != s.model[i] {
			s.t.Fatalf("item %d is %q, want %q", i, e.Value, s.model[i])
		}
		if l.aligned && (labelOf(e.Key)-l.first)%stride != 0 {
			s.t.Fatalf("label %x in an aligned list from %x", e.Key, l.first)
		}
	}
	if labelOf(elems[0].Key) != l.first || labelOf(elems[len(elems)-1].Key) != l.last {
		s.t.Fatalf("from %x to %x, but from %x to %x says the header", elems[0].Key, elems[len(elems)-1].Key, l.first, l.last)
	}
}

func numbered(prefix string, n int) (items []string) {
	for i := range n {
		items = append(items, prefix+strconv.Itoa(i))
	}
	return items
}

// TestInsertStorms checks that labels stay in order for any pattern of inserts,
// at a cost of a few changes per insert.
func TestInsertStorms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, storm := range []struct {
		name   string
		count  int
		length int
		where  func(i int, s *state) (string, int)
		mean   float64 // elements changed by an insert
	}{
		{"before one pivot", 10000, 1000, func(i int, s *state) (string, int) { return "BEFORE", 500 + i }, 5},
		{"after one pivot", 3000, 1000, func(int, *state) (string, int) { return "AFTER", 500 }, 5},
		{"before the last that came", 3000, 1000, func(int, *state) (string, int) { return "BEFORE", 500 }, 16},
		{"after the last that came", 10000, 1000, func(i int, s *state) (string, int) { return "AFTER", 500 + i }, 16},
		{"around one pivot", 3000, 1000, func(i int, s *state) (string, int) { return []string{"BEFORE", "AFTER"}[i%2], 500 + (i+1)/2 }, 16},
		{"into the middle of what came", 3000, 1000, func(i int, s *state) (string, int) { return "AFTER", 500 + i/2 }, 16},
		{"into two items", 3000, 2, func(i int, s *state) (string, int) { return "AFTER", i / 2 }, 16},
		{"before the end", 3000, 3, func(i int, s *state) (string, int) { return "BEFORE", len(s.model) - 1 }, 5},
		{"behind the head", 3000, 3, func(i int, s *state) (string, int) { return "AFTER", 0 }, 5},
		{"anywhere", 10000, 1000, func(i int, s *state) (string, int) { return "AFTER", rng.IntN(len(s.model)) }, 2},
		{"anywhere near", 3000, 1000, func(i int, s *state) (string, int) { return "BEFORE", 480 + rng.IntN(40) }, 16},
	} {
		t.Run(storm.name, func(t *testing.T) {
			s := newState(t, numbered("old", storm.length)...)
			for i := range storm.count {
				where, pivot := storm.where(i, s)
				s.insert(where, pivot, "new"+strconv.Itoa(i))
				if i%1000 == 0 {
					s.check()
				}
			}
			s.check()
			mean := float64(s.ops) / float64(storm.count)
			t.Logf("%.1f elements per insert, at most %d", mean, s.most)
			if mean > storm.mean {
				t.Errorf("%.1f elements per insert", mean)
			}
		})
	}
}

// TestAlignment checks that a list becomes regular again when its holes or
// inserted items are gone, so that labels can be computed from indexes.
func TestAlignment(t *testing.T) {
	regular := func(s *state) bool {
		l, _ := open(s.draft.View())
		return l.regular()
	}
	s := newState(t, numbered("", 20)...)
	s.run(LRem, "1", "3")
	s.model = slices.Delete(s.model, 3, 4)
	if s.check(); regular(s) {
		t.Error("regular with a hole")
	}
	s.run(LPop, "2")
	s.model = s.model[2:]
	if s.check(); regular(s) {
		t.Error("regular with a hole before the second item")
	}
	s.insert("AFTER", 0, "new")
	if s.check(); !regular(s) {
		t.Error("not regular when the hole is filled")
	}
	s.insert("AFTER", 5, "x")
	if s.check(); regular(s) {
		t.Error("regular with an item between two")
	}
	s.run(LRem, "0", "x")
	s.model = slices.Delete(s.model, 6, 7)
	if s.check(); !regular(s) {
		t.Error("not regular when what was inserted is gone")
	}
	s.insert("BEFORE", 0, "head")
	s.insert("AFTER", len(s.model)-1, "tail")
	if s.check(); !regular(s) {
		t.Error("not regular after inserts at the ends")
	}
}

// TestEndOfLabels checks that a list can grow after reaching an end of the
// labels.
func TestEndOfLabels(t *testing.T) {
	for _, front := range []bool{true, false} {
		first, push, where, pivot := uint64(math.MaxUint64-4*stride), RPush, "AFTER", 2
		if front {
			first, push, where, pivot = 2*stride, LPush, "BEFORE", 0
		}
		for _, insert := range []bool{true, false} {
			s := newState(t, "a", "b", "c")
			l := layout{header: s.draft.View().Header, first: first, last: first + 2*stride, aligned: true}
			s.draft.Apply(register.Change{Kind: register.Full, Header: l.sealed(),
				Ops: puts(nil, first, [][]byte{[]byte("a"), []byte("b"), []byte("c")})})
			for i := range 5 {
				item := strconv.Itoa(i)
				switch {
				case insert:
					s.insert(where, pivot, item)
				case front:
					s.run(push, item)
					s.model = slices.Insert(s.model, 0, item)
				default:
					s.run(push, item)
					s.model = append(s.model, item)
				}
				if s.check(); !insert && !func() bool { l, _ := open(s.draft.View()); return l.regular() }() {
					t.Error("pushes left a list that is not regular")
				}
				if !front {
					pivot++
				}
			}
		}
	}
	// What a push needs there.
	h, _ := Build([][]byte{{'a'}})
	l := layout{header: h, first: highest, last: highest, aligned: true}
	v := register.NewView(l.sealed(), register.Knowledge{}, nil)
	op, _ := RPush([][]byte{nil, nil, {'x'}})
	if e := op.Execute(v, 0); e.Need == nil || !e.Need.All {
		t.Errorf("at the end of the labels: %+v", e)
	}
}

// TestPopsAhead checks that consecutive pops use what the first one fetched.
func TestPopsAhead(t *testing.T) {
	for _, parse := range []parser{LPop, RPop} {
		s := newState(t, numbered("", 1000)...)
		op, _ := parse([][]byte{nil, nil})
		ask := op.(*pop)
		part := register.NewDraft(s.draft.View().Project(ask.Prefetch(10)))
		for i := range 10 + ahead + 1 {
			if !part.View().Covers(op.Needs()) {
				t.Fatalf("pop %d has to ask", i)
			}
			e := op.Execute(part.View(), 0)
			if e.Need != nil {
				t.Fatalf("pop %d needs %+v", i, *e.Need)
			}
			part.Apply(e.Change)
		}
	}
}
