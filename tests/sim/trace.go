package sim

import (
	"fmt"
	"strings"
	"time"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// trace adds a line to the run's trace, if one is kept.
func (w *World) trace(format string, args ...any) {
	if w.tracing {
		at := time.Duration(w.now) - time.Second
		w.lines = append(w.lines, fmt.Sprintf("%8.3f  ", float64(at.Microseconds())/1000)+fmt.Sprintf(format, args...))
	}
}

// Trace returns the trace so far, one line per event.
func (w *World) Trace() string { return strings.Join(w.lines, "\n") }

var outcomes = [...]string{"?", "Promised", "Told", "Nacked", "Acked", "Stale", "Pending", "Led", "WrongEpoch",
	"ClockAhead", "Busy", "DiskFull", "Unreachable", "NoRoom", "Unsent"}

// ballot prints a ballot with its time since the run began.
func (w *World) ballot(b caspaxos.Ballot) string {
	if b.IsZero() {
		return "0"
	}
	proposer := fmt.Sprint(b.Proposer)
	if b.Proposer == caspaxos.MaxProposer {
		proposer = "max"
	}
	at := b.Time.UnixMilli() - epochWall - 1000
	if c := uint16(b.Time); c != 0 {
		return fmt.Sprintf("%d.%d@%s", at, c, proposer)
	}
	return fmt.Sprintf("%d@%s", at, proposer)
}

func (w *World) request(q *caspaxos.Request) string {
	if !w.tracing {
		return ""
	}
	key := q.Register.Key[1:]
	switch q.Kind {
	case caspaxos.KindRead:
		return "Read " + key
	case caspaxos.KindPrepare:
		return fmt.Sprintf("Prepare %s %s", key, w.ballot(q.Ballot))
	}
	s := fmt.Sprintf("Accept %s %s", key, w.ballot(q.Ballot))
	if q.Prepared {
		s += " on " + w.ballot(q.Base)
	} else {
		s += " blind"
	}
	s += " " + changeText(q.Change)
	if q.Needed {
		s += " needed"
	}
	if !q.Next.IsZero() {
		s += " next " + w.ballot(q.Next)
	}
	return s
}

func (w *World) reply(r *caspaxos.Reply) string {
	if !w.tracing {
		return ""
	}
	s := outcomes[r.Outcome]
	switch r.Outcome {
	case caspaxos.Told, caspaxos.Promised:
		s += " " + w.ballot(r.Accepted)
		if r.HasState {
			s += " {" + stateText(r.View) + "}"
		}
		if h := r.History; h != nil {
			s += " " + w.history(h)
		}
	case caspaxos.StaleBase:
		s += " at " + w.ballot(r.Accepted)
	case caspaxos.Nacked:
		s += " " + w.ballot(r.Promise)
		if r.Never {
			s += " never"
		}
	case caspaxos.Acked:
		if r.Granted {
			s += " granted"
		}
	}
	return s
}

func (w *World) history(h *caspaxos.History) string {
	var b strings.Builder
	b.WriteString("lineage")
	for _, e := range h.Lineage.Entries {
		fmt.Fprintf(&b, " %s", w.ballot(e.Ballot))
		if e.Blind {
			b.WriteString("(blind)")
		} else {
			fmt.Fprintf(&b, "(on %s)", w.ballot(e.Parent))
		}
	}
	b.WriteString(" votes")
	for _, v := range h.Votes {
		b.WriteString(" " + w.ballot(v))
	}
	if !h.Lineage.Cut.IsZero() {
		b.WriteString(" cut " + w.ballot(h.Lineage.Cut))
	}
	if !h.Floor.IsZero() {
		b.WriteString(" floor " + w.ballot(h.Floor))
	}
	if !h.Dropped.IsZero() {
		b.WriteString(" dropped " + w.ballot(h.Dropped))
	}
	return b.String()
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
