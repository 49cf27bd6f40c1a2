package session

import (
	"bytes"

	"synod/protocol/resp"
	"synod/proxy/respio"
	"synod/proxy/stats"
)

// reply writes the replies in order and frees the calls.
func (b *batch) reply() error {
	if b.n == 0 {
		return nil
	}
	var err error
	for _, c := range b.calls[:b.n] {
		v := c.result()
		b.s.group.count(c.command, v)
		if err == nil && !c.silent {
			err = b.encode(v, int(c.proto))
		}
		*c = call{}
	}
	if err == nil {
		err = b.flush()
	}
	b.s.group.cfg.Stats.CountBatch(b.n)
	b.adjust()
	return err
}

// encode appends a reply to the buffer. Large replies are written while they are
// encoded, and so is a full buffer.
func (b *batch) encode(v *resp.Value, proto int) (err error) {
	if v.Kind == resp.Bulk || v.Elems != nil {
		b.streaming = false
		b.buf, err = v.Stream(b.buf, proto, b)
	} else {
		b.buf = v.AppendTo(b.buf, proto)
	}
	if err == nil && len(b.buf) >= writeBytes {
		err = b.flush()
	}
	return err
}

func (b *batch) flush() error {
	if len(b.buf) == 0 {
		return nil
	}
	b.size += len(b.buf)
	write := b.s.out.Write
	if b.streaming {
		write = b.s.out.More
	}
	err := write(b.buf)
	if cap(b.buf) > respio.MaxInput {
		b.buf = nil
	}
	b.buf, b.streaming = b.buf[:0], false
	return err
}

// Put makes the batch a resp.Sink: large replies are sent in parts.
func (b *batch) Put(encoded, whole []byte) ([]byte, error) {
	write := b.s.out.Write
	if b.streaming {
		write = b.s.out.More
	}
	b.streaming = true
	b.size += len(encoded) + len(whole)
	if len(encoded) > 0 {
		if err := write(encoded); err != nil {
			return nil, err
		}
	}
	if len(whole) == 0 {
		return encoded[:0], nil
	}
	return encoded[:0], b.s.out.Give(whole)
}

// count counts a command's reply; a nil command is a request that named none.
func (g *Group) count(c *Command, v *resp.Value) {
	o := outcomeOf(v)
	if c == nil {
		g.cfg.Stats.Unknown.Add(1)
	} else {
		c.Counts[o].Add(1)
	}
	if o != stats.OK {
		code, _, _ := bytes.Cut(v.Str, []byte{' '})
		g.cfg.Stats.CountError(code)
	}
}

// Codes that several errors share.
var (
	clusterDown = []byte("CLUSTERDOWN ")
	outOfMemory = []byte("OOM ")
)

func outcomeOf(v *resp.Value) stats.Outcome {
	switch v {
	case resp.ErrTryAgain, errOverloaded:
		return stats.TryAgain
	case resp.ErrUncertain:
		return stats.Uncertain
	}
	switch {
	case !v.IsError():
		return stats.OK
	case bytes.HasPrefix(v.Str, clusterDown):
		return stats.ClusterDown
	case bytes.HasPrefix(v.Str, outOfMemory):
		return stats.OOM
	}
	return stats.Error
}
