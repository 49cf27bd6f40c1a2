package respio

import (
	"bytes"
	"io"

	"github.com/tidwall/redcon"

	"synod/protocol/budget"
	"synod/protocol/resp"
	"synod/proxy/stats"
)

// Sizes of a connection's input buffer, in bytes.
const (
	minInput = 4 << 10
	// MaxInput bounds the buffer unless a single request is longer.
	MaxInput = 64 << 10
	// keepInput: a kept request of at least this size keeps the buffer that it was
	// read into. Shorter ones are copied, so that a small value does not hold on
	// to a large buffer.
	keepInput = 32 << 10
	// patientReads is how many short reads in a row let a grown buffer shrink.
	patientReads = 64
)

// Input reads the requests of one connection. It is used by one goroutine.
//
// redcon's ReadNextCommand splits the requests into words. redcon's Reader and
// Serve loop are not used. The Reader grows its buffer whenever a request crosses
// its end and never moves data to the front, so that a steady stream takes memory
// without a bound. It parses a request from the start with every read, drops the
// requests before a malformed one, and splits inline requests differently from
// Redis. Behind the guard, the parser sees complete, well-formed arrays only:
// neither its own protocol ('$…'), nor its inline syntax, nor the negative lengths
// that make it panic.
type Input struct {
	src  io.Reader
	mem  *Account
	buf  []byte
	head int // the next request begins here
	tail int // the data ends here
	// given: commands refer to buf, so it must not be overwritten before tail.
	given bool
	slack int // short reads in a row
	guard guard
	words [][]byte       // reused
	read  *stats.Counter // bytes
	large large
}

// NewInput returns an Input that reads from src, accounts for its buffer in mem
// and counts bytes in read.
func NewInput(src io.Reader, mem *Account, read *stats.Counter, l LargeArguments) Input {
	return Input{src: src, mem: mem, read: read, large: large{LargeArguments: l}}
}

// Next returns the words of the next complete request, or nil if there is none.
// The words are valid until the next call of Next or Fill, unless kept. A failure
// is the reply that ends the connection; ErrRequestTooBig is not sent.
func (in *Input) Next(lim Limits) ([][]byte, *resp.Value) {
	if in.large.held {
		clear(in.words[:cap(in.words)]) // free the large arguments
		in.large.held = false
	}
	for in.head < in.tail {
		kind, n, failure := in.guard.next(in.buf[in.head:in.tail], lim)
		if failure != nil {
			return nil, failure
		}
		request := in.buf[in.head : in.head+n : in.head+n]
		switch kind {
		case frameNone:
			return nil, nil
		case frameInline:
			words, ok := splitLine(in.words[:0], bytes.TrimSuffix(request[:n-1], []byte{'\r'}))
			if !ok {
				return nil, protocolError("unbalanced quotes in request")
			}
			in.words = words
		case frameBulks:
			if in.large.some {
				in.words = in.large.assemble(request, in.words[:0])
				break
			}
			complete, words, _, _, err := redcon.ReadNextCommand(request, in.words[:0])
			if err != nil || !complete {
				panic("respio: redcon refuses a request that passed the guard")
			}
			in.words = words
		case frameEmpty:
			in.words = in.words[:0]
		}
		in.head += n
		if len(in.words) > 0 {
			return in.words, nil
		}
	}
	return nil, nil
}

// Keep makes words, those of the last request, refer to bytes that never change:
// a command may keep them for as long as it likes.
func (in *Input) Keep(words [][]byte) {
	size := 0
	for _, w := range words {
		if len(w) < budget.Large { // large ones have their own memory
			size += len(w)
		}
	}
	if size >= keepInput {
		in.given = true
		return
	}
	raw := make([]byte, size)
	for i, w := range words {
		if len(w) < budget.Large {
			n := copy(raw, w)
			words[i], raw = raw[:n:n], raw[n:]
		}
	}
}

// Fill reads once from the connection.
func (in *Input) Fill() error {
	if in.guard.large > 0 {
		return in.fillLarge()
	}
	in.makeSpace()
	n, err := in.src.Read(in.buf[in.tail:])
	in.tail += n
	in.read.Add(int64(n))
	if n < minInput/2 {
		in.slack = min(in.slack+1, patientReads)
	} else {
		in.slack = 0
	}
	if n > 0 {
		return nil // the next read returns the error again
	}
	return err
}

// makeSpace makes space after tail: by a larger buffer if the request needs one or
// reads have been filling it, otherwise by moving the request to the front.
func (in *Input) makeSpace() {
	held := in.tail - in.head
	size := in.size(held)
	if size == len(in.buf) && !in.given {
		if in.head > 0 {
			copy(in.buf, in.buf[in.head:in.tail])
			in.head, in.tail = 0, held
		}
		return
	}
	buf := make([]byte, size)
	copy(buf, in.buf[in.head:in.tail])
	in.mem.Add(int64(size - len(in.buf)))
	in.buf, in.head, in.tail, in.given = buf, 0, held, false
	if cap(in.words) > MaxInput {
		in.words = nil
	}
}

// size returns how large the buffer should be to hold held bytes and more.
func (in *Input) size(held int) int {
	size := len(in.buf)
	idle := held == 0 && (size > MaxInput || in.slack == patientReads)
	switch {
	case size == 0 || in.given || idle:
		size = minInput
	case in.tail == size && size < MaxInput:
		size *= 2 // the last read could have taken more
	}
	// If the length of an argument is known, do not grow beyond it. Before its
	// bytes have come, no more than doubles: an announced length takes nothing.
	want, free := in.guard.wants(), size-held
	if free <= size/4 && (want == 0 || want > free) {
		grown := max(2*size, 2*held)
		if want > 0 {
			grown = min(grown, held+want+minInput)
		}
		size = max(size, grown)
	}
	return size
}
