package engine

import (
	"synod/protocol/caspaxos/durable"
	"synod/protocol/register"
)

// Project implements acceptor.Store.
func (l *Lane) Project(rec *durable.Record, p register.Projection, size int) (v register.View, fits bool, err error) {
	e := l.entry(rec)
	if e == nil { // the node holds nothing of the register
		v = register.NewView(rec.Header, register.Knowledge{All: true}, nil)
		return v, v.Bytes() <= size, nil
	}
	v, fits, err = e.Project(l.db, rec, p, size)
	if e.Rows && !p.HeaderOnly() {
		l.resize(e)
	}
	return v, fits, err
}
