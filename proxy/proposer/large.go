package proposer

import (
	"slices"
	"sync"

	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
	"synod/protocol/wire"
)

// largeRequest is an Accept of a large change. If it can be divided it is sent in
// chunks, each encoded when the connection has room for it. So it does not hold up a
// lane, and its encoding is not held in memory once for each node. The deliveries to
// several nodes share it.
type largeRequest struct {
	request *message.Request
	bytes   int // of its change
	once    sync.Once
	ops     []register.Op // of the request, in the order in which the chunks have them
	whole   []byte        // the request, encoded, if it must not be divided
}

// large returns the largeRequest of a request, nil if the request is not large.
func large(q *message.Request, bytes int) *largeRequest {
	if q.Kind != message.KindAccept || bytes <= message.ChunkBytes {
		return nil
	}
	return &largeRequest{request: q, bytes: bytes}
}

// prepare decides how the request is sent.
func (l *largeRequest) prepare() {
	c := &l.request.Change
	switch {
	case wire.Divisible(c):
		l.ops = c.Ops
	case c.Kind == register.Full:
		l.ops = ordered(*c)
	}
	if l.ops == nil {
		l.whole = wire.AppendRequest(make([]byte, 0, l.bytes+l.bytes/16), l.request)
	}
}

// ordered returns Puts with ascending keys that make the same state as a full change.
func ordered(c register.Change) []register.Op {
	c.Ops = slices.Clone(c.Ops)
	register.Sort(c.Ops) // many ops are applied fastest in this order
	return register.Nothing().Apply(c).Full().Ops
}

// chunks calls room before each chunk, and then send with it, until one of them fails.
func (l *largeRequest) chunks(room func() error, send func([]byte) error) error {
	l.once.Do(l.prepare)
	if l.whole != nil {
		if err := room(); err != nil {
			return err
		}
		return send(l.whole)
	}
	for rest, number := l.ops, uint32(0); ; number++ {
		if err := room(); err != nil {
			return err
		}
		n := wire.Cut(rest, message.ChunkBytes)
		p := wire.Chunk{ID: l.request.ID, Number: number, Last: n == len(rest), Ops: rest[:n]}
		if number == 0 {
			p.Accept = l.request
		}
		if err := send(encode(&p)); err != nil || p.Last {
			return err
		}
		rest = rest[n:]
	}
}

func encode(p *wire.Chunk) []byte {
	const head = 4 << 10 // usually enough for the rest of chunk zero
	content := register.Change{Ops: p.Ops}
	return wire.AppendChunk(make([]byte, 0, content.Bytes()+head), p)
}
