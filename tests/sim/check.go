package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience limits the search for a linearization of one history. Histories are
// short; one that takes longer is inconclusive and counted by Undecided.
const patience = 500 * time.Millisecond

// checkHistory compares what clients saw with the specification.
func (w *World) checkHistory() {
	w.checkIDs()
	if w.failure != "" {
		return
	}
	whole := false
	for _, r := range w.records {
		whole = whole || (r.op.Kind == Snapshot && r.known)
	}
	if whole {
		w.linearizable(w.operations(-1), wholeModel(), "all registers")
		return
	}
	for reg := range w.Regs {
		w.linearizable(w.operations(reg), singleModel(w.open(reg)), regName(reg))
	}
}

// operations returns the history of a register, or of all for -1. It omits
// operations that were not done: if one had taken effect, the rest would not
// fit.
func (w *World) operations(reg int) []porcupine.Operation {
	var ops []porcupine.Operation
	for _, r := range w.records {
		if r.none || (reg >= 0 && r.op.Reg != reg) || (r.op.Kind == Flush && r.op.Reg < 0) {
			continue
		}
		o := porcupine.Operation{Input: &r.in, Call: r.call, Return: r.ret, Output: &output{r.known, r.out, r.outs}}
		if !r.known {
			if r.op.ReadOnly() || r.op.Kind == Snapshot {
				continue
			}
			o.Return = math.MaxInt64
		}
		ops = append(ops, o)
	}
	return ops
}

// open reports whether outcomes in the history of the register leave its
// state open: unknown ones where something expires; or any where fields do, as
// not every reply tells which of them did.
func (w *World) open(reg int) bool {
	unknown, expiry := false, false
	for _, r := range w.records {
		if r.op.Reg == reg {
			unknown = unknown || !r.known || r.op.Kind == Call
			expiry = expiry || r.op.Expiry != 0
		}
	}
	return unknown && expiry
}

func (w *World) linearizable(ops []porcupine.Operation, model porcupine.Model, what string) {
	if w.failure != "" || len(ops) == 0 {
		return
	}
	switch porcupine.CheckOperationsTimeout(model, ops, patience) {
	case porcupine.Illegal:
		w.fail("the history of %s is not linearizable:\n%s", what, describe(ops))
	case porcupine.Unknown:
		w.undecided++
	}
}

func describe(ops []porcupine.Operation) string {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range ops {
		in, out := o.Input.(*input), o.Output.(*output)
		if !out.known {
			fmt.Fprintf(&b, "  [%4d ..    ?] %v\n", o.Call, in.op)
			continue
		}
		fmt.Fprintf(&b, "  [%4d .. %4d] %v = %s\n", o.Call, o.Return, in.op, answerText(in.op, out.out, out.outs))
	}
	return b.String()
}

// checkIDs checks every value seen: an operation's id may occur once in a
// field, and never if the operation was answered as not done (§11 L3).
// Linearizability covers this; a direct message is easier to read.
func (w *World) checkIDs() {
	never := make(map[string]*record)
	for _, r := range w.records {
		if r.none {
			never[fmt.Sprint(r.op.ID)] = r
		}
	}
	look := func(r *record, out Out) {
		for text := range strings.FieldsSeq(out.Value) {
			seen := make(map[string]bool)
			ids := strings.Split(text, ",")
			for _, id := range ids[1:] {
				if bad := never[id]; bad != nil {
					w.fail("%v was answered %q, but %v saw it: %s", bad.op, bad.err, r.op, out.Value)
				}
				if seen[id] && r.op.Kind != Append2 {
					w.fail("#%s took effect twice: %v saw %s", id, r.op, out.Value)
				}
				seen[id] = true
			}
		}
	}
	for _, r := range w.records {
		if !r.known || r.op.Kind == Call { // whose values are replies
			continue
		}
		look(r, r.out)
		for _, o := range r.outs {
			look(r, o)
		}
	}
}
