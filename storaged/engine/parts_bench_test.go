package engine

import (
	"encoding/binary"
	"fmt"
	"testing"

	"synod/protocol/caspaxos/message"
	"synod/protocol/layout"
	"synod/protocol/register"
)

func label(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(1<<40+i)) }

// ranked is the key by which a sorted set is in order.
func ranked(i int) []byte { return append([]byte{'s'}, label(i)...) }

// fill makes a collection of n elements on disk, by changes of some thousand.
func (r *rig) fill(id register.ID, kind register.Type, n int, elem func(i int) []byte) {
	r.t.Helper()
	const step = 5000
	for at := 0; at < n; at += step {
		c := register.Change{Kind: register.Delta, Header: register.Header{Type: kind, Size: uint64(min(n, at+step))}}
		if at == 0 {
			c.Kind = register.Full
		}
		for i := at; i < min(n, at+step); i++ {
			c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: elem(i), Value: make([]byte, 64)})
		}
		r.accept(id, c)
		r.sync()
		r.maintain()
	}
	r.settle()
}

// reportCPU reports what the process spends from now on, what goes on behind
// the lane included, by operations or parts of them. A machine that others use
// too slows the clock, not this.
func reportCPU(b *testing.B, parts int) func() {
	start := cpuTime()
	return func() {
		spent := cpuTime() - start
		b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(parts), "cpu-ns/op")
	}
}

func benchOptions(b *testing.B) Options {
	o := testOptions(b)
	o.FS, o.CacheBytes = nil, 256<<20
	o.SegmentBytes, o.RetainBytes = 0, 0
	return o
}

// BenchmarkParts is the store's part of reading from collections on disk.
func BenchmarkParts(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		r := newRig(b, benchOptions(b))
		list, set := key(0, "list"), key(0, "zset")
		r.fill(list, register.List, n, label)
		r.fill(set, register.SortedSet, n, ranked)
		i := 0
		at := func() int { i++; return i * 7919 % n }
		run := func(name string, id register.ID, p func() register.Projection) {
			l := r.e.Lanes()[r.lane(id)]
			rec, err := l.Load(id)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b, 1)()
				for b.Loop() {
					if _, fits, err := l.Project(rec, p(), 256<<10); err != nil || !fits {
						b.Fatal(fits, err)
					}
				}
			})
		}
		counted, _ := layout.Counted(register.SortedSet)
		run("key", list, func() register.Projection { return register.Projection{Keys: [][]byte{label(at())}} })
		run("missing", list, func() register.Projection {
			return register.Projection{Keys: [][]byte{append(label(at()), 'x')}}
		})
		run("range of 10", list, func() register.Projection {
			return register.Projection{Ranges: []register.Range{{From: label(at() / 2), Limit: 10}}}
		})
		run("last 10", list, func() register.Projection {
			return register.Projection{Ranges: []register.Range{{Reverse: true, Limit: 10}}}
		})
		run("skip", list, func() register.Projection {
			return register.Projection{Ranges: []register.Range{{Skip: uint64(at() / 2), Limit: 10}}}
		})
		run("reverse skip", set, func() register.Projection {
			return register.Projection{Ranges: []register.Range{{From: counted.From, To: counted.To, Skip: uint64(at() / 2), Limit: 10, Reverse: true}}}
		})
		run("count", set, func() register.Projection {
			a := at() / 2
			return register.Projection{Counts: []register.Span{{From: ranked(a), To: ranked(a + n/2)}}}
		})
		r.e.Abort()
	}
}

// BenchmarkHead takes a list's first element again and again, with what other
// commands let happen in between: changes go to the disk now and then.
func BenchmarkHead(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		for _, push := range []bool{false, true} {
			name := fmt.Sprintf("pop/%d", n)
			if push {
				name = fmt.Sprintf("pop and push/%d", n)
			}
			b.Run(name, func(b *testing.B) {
				r := newRig(b, benchOptions(b))
				id := key(0, "list")
				r.fill(id, register.List, n, label)
				l := r.e.Lanes()[r.lane(id)]
				next := n
				b.ResetTimer()
				defer reportCPU(b, 1)()
				for i := range b.N {
					rec, err := l.Load(id)
					if err != nil {
						b.Fatal(err)
					}
					first, fits, err := l.Project(rec, register.Projection{Ranges: []register.Range{{Limit: 1}}}, 256<<10)
					if err != nil || !fits {
						b.Fatal(fits, err)
					}
					c := register.Change{Kind: register.Delta, Header: rec.Header}
					if len(first.Elements()) == 1 {
						c.Ops = append(c.Ops, register.Op{Kind: register.Remove, Key: first.Elements()[0].Key})
					}
					if push || len(c.Ops) == 0 {
						c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: label(next), Value: make([]byte, 64)})
						next++
					}
					rec.Accepted.Time++
					l.Apply(rec, c)
					if i%5000 == 4999 {
						r.settle()
					}
				}
			})
		}
	}
}

// BenchmarkAdd puts new elements between a million others that are counted. One
// operation is a change.
func BenchmarkAdd(b *testing.B) {
	const n = 1_000_000
	r := newRig(b, benchOptions(b))
	id := key(0, "zset")
	r.fill(id, register.SortedSet, n, ranked)
	l := r.e.Lanes()[r.lane(id)]
	i := 0
	for _, ops := range []int{1, 100} {
		b.Run(fmt.Sprint(ops), func(b *testing.B) {
			defer reportCPU(b, 1)()
			for b.Loop() {
				rec, err := l.Load(id)
				if err != nil {
					b.Fatal(err)
				}
				c := register.Change{Kind: register.Delta, Header: rec.Header}
				for range ops {
					i++
					c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: fmt.Append(ranked(i*7919%n), i)})
				}
				rec.Accepted.Time++
				if l.Apply(rec, c); i%5000 == 0 {
					r.settle()
				}
			}
		})
	}
}

// BenchmarkReplace (by element) is, with its way to the disk, one change that makes a whole collection.
func BenchmarkReplace(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		c := register.Change{Kind: register.Full, Header: register.Header{Type: register.SortedSet, Size: uint64(n)}}
		for i := range n {
			c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: ranked(i * 7919 % n)})
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b, benchOptions(b))
			id := key(0, "zset")
			defer reportCPU(b, n)()
			for b.Loop() {
				r.accept(id, c)
				r.settle()
			}
		})
	}
}

// BenchmarkPages (by element) reads all of a collection.
func BenchmarkPages(b *testing.B) {
	const n = 1_000_000
	r := newRig(b, benchOptions(b))
	id := key(0, "list")
	r.fill(id, register.List, n, label)
	defer reportCPU(b, n)()
	for b.Loop() {
		l := r.e.Lanes()[r.lane(id)]
		rec, err := l.Load(id)
		if err != nil {
			b.Fatal(err)
		}
		pages, err := l.Transfer(rec, register.Projection{All: true})
		if err != nil {
			b.Fatal(err)
		}
		elems := 0
		for more := true; more; {
			var v register.View
			if v, more, err = pages.Next(message.ChunkBytes); err != nil {
				b.Fatal(err)
			}
			elems += len(v.Elements())
		}
		if pages.Close(); elems != n {
			b.Fatal(elems)
		}
	}
}
