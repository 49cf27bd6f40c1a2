package engine

import (
	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// Project implements caspaxos.Store.
func (l *Lane) Project(rec *caspaxos.Record, p register.Projection, size int) (v register.View, fits bool, err error) {
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
