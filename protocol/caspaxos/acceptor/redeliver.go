package acceptor

import (
	"bytes"

	"synod/protocol/caspaxos/deltalog"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// catchUp handles the Accepts that waited for the ballot that the register has come
// to.
func (a *Acceptor) catchUp(now instant.Now, r register.ID) {
	a.redelivering = true
	defer func() { a.redelivering = false }()
	for !a.deltaBuffer.Empty() {
		rec, err := a.load(r)
		if err != nil {
			return
		}
		at := accepted(rec)
		req := a.deltaBuffer.Next(r.Key, at, a.promise(r, rec), func(q *message.Request) bool {
			_, links := deltalog.PathTo(&a.deltaBuffer, &a.undoLog, q, at)
			return links != nil || a.omit.Has(rules.Kept)
		})
		if req == nil {
			return
		}
		var reply message.Reply
		if ok, err := a.admit(now, req, &reply); !ok || err != nil {
			continue
		}
		if a.accept(now, req, rec, &reply) != nil {
			return // as if it had been lost
		}
		if reply.Outcome == message.Acked {
			a.CaughtUp++
		}
	}
}

// unchecked reports whether tests have turned off the rule by which a delta is
// applied to its base only.
func (a *Acceptor) unchecked(req *message.Request) bool {
	return a.omit.Has(rules.Base) || a.omit.Has(rules.On) && !req.On.IsZero() || a.omit.Has(rules.Kept) && a.redelivering
}

// undoOf returns how the vote that is about to be made can be taken back, if that is
// worth remembering.
func (a *Acceptor) undoOf(req *message.Request, rec *durable.Record) (x deltalog.UndoRecord, ok bool) {
	if rec == nil || rec == &a.scratch || req.Change.Kind == full || !rec.Header.Exists() ||
		!a.store.Large(rec) || !a.contended.look(req.Register.Key, rec, req.Ballot) {
		return x, false
	}
	x = deltalog.UndoRecord{Ballot: req.Ballot, From: rec.Accepted}
	if req.Change.Kind == register.None {
		return x, true
	}
	if req.Change.Bytes() > deltalog.MaxUndoBytesOfOne {
		return x, false
	}
	keys := make([][]byte, 0, len(req.Change.Ops))
	for i := range req.Change.Ops {
		keys = append(keys, bytes.Clone(req.Change.Ops[i].Key))
	}
	v, fits, err := a.store.Project(rec, register.Projection{Keys: keys}, deltalog.MaxUndoBytesOfOne)
	if err != nil || !fits {
		return x, false
	}
	x.Change = register.Change{Kind: register.Delta, Header: rec.Header}
	x.Change.Header.Aux = bytes.Clone(rec.Header.Aux)
	for _, key := range keys {
		op := register.Op{Kind: register.Remove, Key: key}
		if old, exists := v.Get(key); exists {
			op.Kind, op.Value = register.Put, bytes.Clone(old)
		}
		x.Change.Ops = append(x.Change.Ops, op)
	}
	return x, true
}
