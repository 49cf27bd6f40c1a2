package command

import "testing"

// BenchmarkCommand measures a command without network and consensus: lookup,
// parsing and execution.
func BenchmarkCommand(b *testing.B) {
	m := newMachine(b)
	m.text("SET", "k", "sixty-four bytes of value, which is what the benchmark's load has")
	m.text("SET", "n", "1000")
	for _, request := range []string{"GET k", "SET k value", "INCR n", "EXPIRE k 100", "APPEND k x"} {
		b.Run(request, func(b *testing.B) {
			args := splitWords(b, request)
			v := m.keys[string(args[1])]
			b.ReportAllocs()
			for b.Loop() {
				spec, _ := Resolve(args)
				op, _ := spec.Key(args)
				_ = op.Needs()
				_ = op.Execute(v, m.now)
			}
		})
	}
}
