package stream

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
	"synod/proxy/datatype/stream/entry"
)

func genID(t *rapid.T) ID {
	return ID{MS: rapid.Uint64Range(1, 5).Draw(t, "ms"), Seq: rapid.Uint64().Draw(t, "seq")}
}

func genText(t *rapid.T) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "text") }

func genValue(t *rapid.T) Value {
	ids := rapid.SliceOfNDistinct(rapid.Custom(genID), 0, 20, rapid.ID)
	value := Value{Entries: []Entry{}, Last: genID(t), MaxDeleted: genID(t), Added: rapid.Uint64().Draw(t, "added")}
	for _, id := range ids.Draw(t, "entries") {
		e := Entry{ID: id}
		for range 2 * rapid.IntRange(1, 3).Draw(t, "pairs") {
			e.Fields = append(e.Fields, genText(t))
		}
		value.Entries = append(value.Entries, e)
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.String(), 0, 3, rapid.ID).Draw(t, "groups") {
		g := Group{Name: []byte(name), Last: genID(t), Read: rapid.Int64Range(-1, 100).Draw(t, "read")}
		for _, name := range rapid.SliceOfNDistinct(rapid.String(), 1, 3, rapid.ID).Draw(t, "consumers") {
			g.Consumers = append(g.Consumers, Consumer{Name: []byte(name), Seen: rapid.Int64().Draw(t, "seen"), Active: rapid.Int64Min(-1).Draw(t, "active")})
		}
		for _, id := range ids.Draw(t, "pending") {
			c := rapid.SampledFrom(g.Consumers).Draw(t, "consumer")
			g.Pending = append(g.Pending, Pending{ID: id, Consumer: c.Name, Time: rapid.Int64().Draw(t, "time"), Count: rapid.Uint64().Draw(t, "count")})
		}
		value.Groups = append(value.Groups, g)
	}
	return value
}

func built(value Value) register.View {
	h, ops := Build(value)
	return register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
}

// TestBuildAndRead checks that building and reading a value gives the same
// content, and that building it again gives the same state.
func TestBuildAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := genValue(t)
		v := built(value)
		read := Read(v)
		if got, want := counts(read), counts(value); got != want {
			t.Fatalf("%s became %s", want, got)
		}
		again := built(read)
		if !reflect.DeepEqual(v.Header, again.Header) || !reflect.DeepEqual(v.Elements(), again.Elements()) {
			t.Fatalf("%+v\nbecame\n%+v", v, again)
		}
		if !reflect.DeepEqual(Read(again), read) {
			t.Fatalf("%+v\nbecame\n%+v", read, Read(again))
		}
		known := map[entry.ID][][]byte{}
		for _, e := range value.Entries {
			known[e.ID] = e.Fields
		}
		for _, e := range read.Entries {
			if fmt.Sprintf("%q", known[e.ID]) != fmt.Sprintf("%q", e.Fields) {
				t.Fatalf("%s: %q, want %q", e.ID, e.Fields, known[e.ID])
			}
		}
	})
}

// counts has the numbers that do not depend on the order.
func counts(value Value) string {
	s := fmt.Sprint(len(value.Entries), value.Last, value.MaxDeleted, value.Added)
	groups := map[string]string{}
	for _, g := range value.Groups {
		consumers, ids := map[string]Consumer{}, map[entry.ID]string{}
		for _, c := range g.Consumers {
			consumers[string(c.Name)] = c
		}
		for _, p := range g.Pending {
			ids[p.ID] = fmt.Sprintf("%q %d %d", p.Consumer, p.Time, p.Count)
		}
		groups[string(g.Name)] = fmt.Sprintf("%v %d %v %v", g.Last, g.Read, consumers, ids)
	}
	return s + fmt.Sprintf("%q", groups)
}
