package proxy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"synod/protocol/budget"
	"synod/protocol/resp"
)

const (
	// largePatience is how long a client waits for the memory of an argument until
	// the command is refused.
	largePatience = 5 * time.Second
	// largeSilence is how long a client that has got it may send nothing, while
	// others wait.
	largeSilence = 10 * time.Second
)

// errStalled: a client stopped in the midst of a large request.
var errStalled = errors.New("a large request stalled while others waited for memory")

// large are the arguments of one request that are large enough to have memory of
// their own, from budget.Large on. It is acquired when the length is announced and
// before a byte of it is read, so that clients wait, with their sockets full,
// instead of the process growing; and the bytes stand from then on where they
// were read to, whatever becomes of them. A request for which there is no memory
// is read to its end all the same, without being kept, and answered so.
type large struct {
	memory *budget.Share
	// waiting returns the context of a wait for memory.
	waiting func() (context.Context, context.CancelFunc)
	// expect has a read fail if nothing comes within so long; 0: for ever.
	expect func(time.Duration)

	some    bool // the request has such arguments
	open    bool // one of them is being read
	held    bool // the words of the last request hold some
	args    [][]byte
	filled  int         // bytes of the last one that have come
	refusal *resp.Value // why there is no memory for one of them
}

// fillLarge takes in the bytes of an argument: those that are in the buffer
// already, or else by one read.
func (in *input) fillLarge() error {
	l, n := &in.large, in.guard.away
	if !l.open {
		l.begin(n)
	}
	arg := l.args[len(l.args)-1]
	start := in.head + in.guard.pos
	if have := min(n-l.filled, in.tail-start); have > 0 {
		if arg != nil {
			copy(arg[l.filled:], in.buf[start:start+have])
		}
		l.filled += have
		copy(in.buf[start:], in.buf[start+have:in.tail])
		in.tail -= have
	}
	if l.filled < n {
		if err := in.readLarge(arg, n); err != nil {
			return err
		}
	}
	if l.filled == n {
		in.guard.taken(n)
		l.filled, l.open = 0, false
	}
	return nil
}

// readLarge reads once, into arg or, if that is nil, to nowhere.
func (in *input) readLarge(arg []byte, n int) error {
	l := &in.large
	to := arg
	if to == nil {
		to = make([]byte, min(n, maxInput))
	} else {
		to = arg[l.filled:]
	}
	if l.memory != nil {
		l.expect(largeSilence)
		defer l.expect(0)
	}
	got, err := in.src.Read(to[:min(len(to), n-l.filled)])
	l.filled += got
	in.read.add(int64(got))
	switch {
	case got > 0:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && l.memory != nil:
		if arg != nil && l.memory.Budget().Waiting() {
			return errStalled
		}
		return nil
	}
	return err
}

// begin acquires the memory of an argument of n bytes.
func (l *large) begin(n int) {
	l.some, l.open = true, true
	var arg []byte
	if l.refusal == nil {
		arg = l.acquire(n)
	}
	l.args = append(l.args, arg)
}

func (l *large) acquire(n int) []byte {
	if arg := l.memory.TryMake(n); arg != nil {
		return arg
	}
	ctx, cancel := l.waiting()
	defer cancel()
	arg, err := l.memory.Make(ctx, n)
	if err != nil {
		l.refusal = refused(err)
		l.args = nil // what has come of the request is of no use
	}
	return arg
}

var (
	errTooLarge = resp.Err("OOM nothing was done: the request is larger than the memory that the proxy has for requests (--memory-limit)")
	errNoMemory = resp.Err("OOM nothing was done: other requests hold the proxy's memory (--memory-limit)")
)

func refused(err error) *resp.Value {
	if errors.Is(err, budget.ErrTooLarge) {
		return errTooLarge
	}
	return errNoMemory
}

// assemble returns the words of a request whose large arguments have been taken
// out of it. The guard has seen that it is well-formed.
func (l *large) assemble(request []byte, words [][]byte) [][]byte {
	args := l.args
	_, rest, _ := bytes.Cut(request, []byte("\r\n"))
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\r\n"))
		n, _ := parseLength(line[1:])
		if n < budget.Large {
			words, rest = append(words, after[:n:n]), after[n+2:]
			continue
		}
		var arg []byte // nil if the request has been refused
		if l.refusal == nil {
			arg, args = args[0], args[1:]
		}
		words, rest = append(words, arg), after[2:]
	}
	l.args, l.some, l.held = nil, false, true
	return words
}

// refusal returns why the last request cannot be run for want of memory, nil if it
// can.
func (in *input) refusal() *resp.Value {
	r := in.large.refusal
	in.large.refusal = nil
	return r
}

// Put makes the batch a resp.Sink: large replies leave bit by bit.
func (b *batch) Put(encoded, whole []byte) ([]byte, error) {
	write := b.s.out.write
	if b.streaming {
		write = b.s.out.more
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
	return encoded[:0], b.s.out.give(whole)
}
