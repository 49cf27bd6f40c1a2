package sim

import (
	"fmt"
	"strings"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// trace adds a line to the run's trace, if one is kept.
func (w *World) trace(format string, args ...any) {
	if w.manual != nil {
		w.manual.say(format, args...)
		return
	}
	if w.tracing {
		at := time.Duration(w.now) - time.Second
		w.lines = append(w.lines, fmt.Sprintf("%8.3f  ", float64(at.Microseconds())/1000)+fmt.Sprintf(format, args...))
	}
}

// Trace returns the trace so far, one line per event.
func (w *World) Trace() string { return strings.Join(w.lines, "\n") }

var outcomes = [...]string{"?", "Promised", "ReadOK", "Nacked", "Acked", "Stale", "Pending", "DeltasOK", "WrongEpoch",
	"ClockAhead", "Busy", "DiskFull", "Unreachable", "NoRoom", "Unsent"}

// ballot prints a ballot with its time since the run began.
func (w *World) ballot(b ballot.Ballot) string {
	if b.IsZero() {
		return "0"
	}
	proposer := fmt.Sprint(b.Proposer)
	if w.manual != nil && w.manual.owners[b.Proposer] != "" {
		proposer = w.manual.owners[b.Proposer]
	}
	if b.Proposer == ballot.MaxProposer {
		proposer = "max"
	}
	at := b.Time.UnixMilli() - epochWall - 1000
	if c := uint16(b.Time); c != 0 {
		return fmt.Sprintf("%d.%d@%s", at, c, proposer)
	}
	return fmt.Sprintf("%d@%s", at, proposer)
}

// short prints a request as a reply names it.
func (w *World) short(q *message.Request) string {
	if q.Kind == message.KindRead {
		return q.Register.Key[1:]
	}
	return q.Register.Key[1:] + " " + w.ballot(q.Ballot)
}

func (w *World) request(q *message.Request) string {
	if !w.tracing {
		return ""
	}
	key := q.Register.Key[1:]
	switch q.Kind {
	case message.KindRead:
		s := "Read " + key
		for _, b := range q.Since {
			s += ", deltas since " + w.ballot(b)
		}
		return s
	case message.KindPrepare:
		return fmt.Sprintf("Prepare %s %s", key, w.ballot(q.Ballot))
	}
	s := fmt.Sprintf("Accept %s %s", key, w.ballot(q.Ballot))
	if q.Prepared {
		s += " on " + w.ballot(q.Base)
	} else {
		s += " blind"
	}
	s += " " + changeText(q.Change)
	if !q.On.IsZero() && q.On != q.Base {
		s += " from " + w.ballot(q.On)
	}
	if q.Needed {
		s += " needed"
	}
	if !q.Piggyback.IsZero() {
		s += " next " + w.ballot(q.Piggyback)
	}
	return s
}

// reply prints a reply, with the request that it answers in short.
func (w *World) reply(about string, r *message.Reply) string {
	if !w.tracing {
		return ""
	}
	s := strings.TrimSpace(outcomes[r.Outcome] + " " + about)
	switch r.Outcome {
	case message.ReadOK, message.Promised:
		s += ": accepted " + w.ballot(r.Accepted)
		if r.HasState {
			s += " {" + stateText(r.View) + "}"
			if r.Chunk > 0 || r.More {
				s += fmt.Sprintf(" chunk %d", r.Chunk)
			}
		}
		if h := r.History; h != nil {
			s += w.history(h)
		}
	case message.StaleBase:
		s += ": accepted " + w.ballot(r.Accepted)
	case message.Nacked:
		s += ": promised " + w.ballot(r.Promise)
		if r.Never {
			s += ", never voted"
		}
	case message.Acked:
		if r.Granted {
			s += ", next granted"
		}
		if r.Shared {
			s += ", shared"
		}
	case message.DeltasOK:
		if r.DeltaRange != nil {
			s += fmt.Sprintf(": from %s to %s %s", w.ballot(r.DeltaRange.On), w.ballot(r.DeltaRange.To), changeText(r.DeltaRange.Change))
		}
	}
	return s
}

// history prints a record's lists, and what bounds them, each after a comma.
func (w *World) history(h *history.History) string {
	var b strings.Builder
	if len(h.Lineage.Entries) > 0 {
		b.WriteString(", lineage")
	}
	for _, e := range h.Lineage.Entries {
		fmt.Fprintf(&b, " %s", w.ballot(e.Ballot))
		if e.Blind {
			b.WriteString("(blind)")
		} else {
			fmt.Fprintf(&b, "(on %s)", w.ballot(e.Parent))
		}
	}
	if len(h.Votes) > 0 {
		b.WriteString(", votes")
	}
	for _, v := range h.Votes {
		b.WriteString(" " + w.ballot(v))
	}
	for _, bound := range []struct {
		name   string
		ballot ballot.Ballot
	}{{"truncatedThrough", h.Lineage.TruncatedThrough}, {"floor", h.Floor}, {"purgedThrough", h.PurgedThrough}} {
		if !bound.ballot.IsZero() {
			b.WriteString(", " + bound.name + " " + w.ballot(bound.ballot))
		}
	}
	return b.String()
}

// traceAnswer traces what a node makes of a request. In a script, the messages
// are shown as they are sent; what is left to say is which of them have to wait.
func (n *node) traceAnswer(to *proxy, req *message.Request, reply *message.Reply) {
	w := n.w
	if w.manual == nil {
		w.trace("%s ← %s %s: %s", n, to, w.request(req), w.reply("", reply))
		return
	}
	if _, held := w.manual.disks[n]; held && reply.After > n.store.Synced() && !w.Omit.Has(rules.Durability) {
		w.trace("%s holds back until its disk has synced: %s", n, w.reply(w.short(req), reply))
	}
}

func (n *node) traceDeferred(from *proxy, req *message.Request) {
	const text = "%s defers %s of %s until its ceiling is raised"
	m := n.w.manual
	if m == nil {
		n.w.trace(text, n, n.w.request(req), from)
		return
	}
	m.show(text, n, n.w.request(req), from)
	m.deferred = len(m.lines)
}

// answer prints what an operation was answered with.
func (r *record) answer() string {
	return answerText(r.op, r.out, r.outs)
}

func answerText(op *Op, out Out, outs []Out) string {
	if op.Kind != Snapshot {
		return out.answer(op.Kind)
	}
	var all []string
	for _, out := range outs {
		all = append(all, "["+out.answer(GetAll)+"]")
	}
	return strings.Join(all, " ")
}

func (o Out) answer(kind Kind) string {
	value := strings.TrimSpace(o.Value)
	switch {
	case kind == Call:
		return o.String()
	case kind == Flush:
		return "OK"
	case !o.Done:
		return strings.TrimSpace("nothing done " + value)
	case value != "":
		return value
	case kind <= GetVia && !o.Existed:
		return "absent"
	}
	return "OK"
}

func changeText(c register.Change) string {
	if c.Kind == register.None {
		return "empty"
	}
	s := "delta"
	if c.Kind == register.Full {
		s = "full"
	}
	if !c.Header.Exists() {
		return s + " absent"
	}
	s += "{"
	for _, op := range c.Ops {
		switch op.Kind {
		case register.Put:
			s += fmt.Sprintf("%s=%s ", op.Key, op.Value)
		case register.Patch:
			s += fmt.Sprintf("%s[%d:]=%s ", op.Key, op.Offset, op.Value)
		case register.Remove:
			s += fmt.Sprintf("-%s ", op.Key)
		}
	}
	return strings.TrimSpace(s) + "}"
}

func stateText(v register.View) string {
	if !v.Header.Exists() {
		return "absent"
	}
	var b strings.Builder
	for _, e := range v.Elements() {
		b.Write(e.Key)
		b.Write(e.Value)
		b.WriteByte(' ')
	}
	if v.Header.Expiry != 0 {
		fmt.Fprintf(&b, "until %d ", v.Header.Expiry-epochWall-1000)
	}
	fmt.Fprintf(&b, "size %d", v.Header.Size)
	return b.String()
}
