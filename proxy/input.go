package proxy

import (
	"bytes"
	"io"

	"github.com/tidwall/redcon"

	"synod/protocol/budget"
	"synod/protocol/resp"
)

// Sizes of a connection's input buffer, in bytes.
const (
	minInput = 4 << 10
	maxInput = 64 << 10 // unless one request is longer
	// keepInput: a request at least this long keeps the buffer it was read
	// into; shorter ones are copied, so that a small value which is kept does
	// not keep a large buffer.
	keepInput = 32 << 10
	// patientReads is how many short reads in a row it takes until a buffer
	// that has grown is given up.
	patientReads = 64
)

// input reads a connection's requests.
//
// redcon's Parser (ReadNextCommand) takes the requests apart. Its Reader and
// its Serve loop are not used: the Reader grows its buffer whenever a request
// stands across its end, without ever moving it to the front, so that a steady
// stream takes memory without a bound; parses a request from its beginning
// with every read; drops the requests before a malformed one; and splits
// inline requests otherwise than Redis. Behind the guard the parser is given
// whole, well-formed arrays only: neither its own protocol ('$…'), nor its
// inline syntax, nor the negative lengths that it panics on, can be reached.
type input struct {
	src  io.Reader
	mem  *account
	buf  []byte
	head int // the request to be examined next begins here
	tail int // the data ends here
	// given tells that commands refer to memory of buf, which therefore must
	// not be written to again, except behind tail.
	given bool
	slack int // short reads in a row
	guard guard
	words [][]byte // reused
	read  *counter // bytes
	large large
}

// next returns the words of the next complete request, or nil if there is
// none. The words are valid until the next call of next or fill, unless kept.
func (in *input) next(lim requestLimits) ([][]byte, *resp.Value) {
	if in.large.held {
		clear(in.words[:cap(in.words)]) // or they would keep what nobody needs
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
				panic("proxy: the guard let through what redcon refuses")
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

// keep makes the bytes of the last request's words stay as they are: a command
// may hold on to them for as long as it likes. It changes words to refer to
// them.
func (in *input) keep(words [][]byte) {
	size := 0
	for _, w := range words {
		if len(w) < budget.Large { // others have memory of their own
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

// fill reads once, after it has made room.
func (in *input) fill() error {
	if in.guard.away > 0 {
		return in.fillLarge()
	}
	in.room()
	n, err := in.src.Read(in.buf[in.tail:])
	in.tail += n
	in.read.add(int64(n))
	if n < minInput/2 {
		in.slack = min(in.slack+1, patientReads)
	} else {
		in.slack = 0
	}
	if n > 0 {
		return nil // an error comes back with the next read
	}
	return err
}

// room makes space behind tail: by a larger buffer if the request in it needs
// one or reads have been filling it, else by moving the request to the front.
func (in *input) room() {
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
	in.mem.add(int64(size - len(in.buf)))
	in.buf, in.head, in.tail, in.given = buf, 0, held, false
	if cap(in.words) > maxInput {
		in.words = nil
	}
}

// size returns how large the buffer should be, with held bytes in it.
func (in *input) size(held int) int {
	size := len(in.buf)
	idle := held == 0 && (size > maxInput || in.slack == patientReads)
	switch {
	case size == 0 || in.given || idle:
		size = minInput
	case in.tail == size && size < maxInput:
		size *= 2 // the last read could have taken more
	}
	// A known length bounds the doubling, and doubling what a length can take
	// before its bytes have come.
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
