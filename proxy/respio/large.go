package respio

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"synod/protocol/budget"
	"synod/protocol/resp"
	"synod/proxy/datatype/number"
)

// largeSilence is how long a client may send nothing in the middle of a large
// argument while other clients wait for memory.
const largeSilence = 10 * time.Second

// ErrStalled ends a connection that stopped in the middle of a large request.
var ErrStalled = errors.New("a large request stalled while others waited for memory")

// LargeArguments is where an Input gets the memory for large arguments, those of
// at least budget.Large bytes.
type LargeArguments struct {
	// Memory is the budget; nil is without limit.
	Memory *budget.Share
	// Waiting returns the context that bounds a wait for memory. When it ends,
	// the request is refused.
	Waiting func() (context.Context, context.CancelFunc)
	// Expect makes reads of the connection fail with os.ErrDeadlineExceeded when
	// nothing comes within the duration; 0: never.
	Expect func(within time.Duration)
}

// large reads the large arguments of one request. Their memory is acquired when
// the length is announced, before a byte is read: clients wait, with their sockets
// full, instead of the process growing. The bytes are never copied again. A
// request that gets no memory is read to its end without being kept, and then
// refused.
type large struct {
	LargeArguments

	some    bool // the request has large arguments
	open    bool // one of them is being read
	held    bool // the words of the last request refer to some
	args    [][]byte
	filled  int         // bytes read of the last one
	refusal *resp.Value // why one of them got no memory
}

// fillLarge takes bytes of a large argument from the buffer, or else reads once.
func (in *Input) fillLarge() error {
	l, n := &in.large, in.guard.large
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

// readLarge reads once, into arg, or discards what it reads if arg is nil.
func (in *Input) readLarge(arg []byte, n int) error {
	l := &in.large
	to := arg
	if to == nil {
		to = make([]byte, min(n, MaxInput))
	} else {
		to = arg[l.filled:]
	}
	if l.Memory != nil {
		l.Expect(largeSilence)
		defer l.Expect(0)
	}
	got, err := in.src.Read(to[:min(len(to), n-l.filled)])
	l.filled += got
	in.read.Add(int64(got))
	switch {
	case got > 0:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && l.Memory != nil:
		if arg != nil && l.Memory.Budget().Waiting() {
			return ErrStalled
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
	if arg := l.Memory.TryMake(n); arg != nil {
		return arg
	}
	ctx, cancel := l.Waiting()
	defer cancel()
	arg, err := l.Memory.Make(ctx, n)
	if err != nil {
		l.refusal = refused(err)
		l.args = nil // the request will not run: free what came of it
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

// assemble returns the words of a request, the large arguments of which were taken
// out of its bytes. The guard has checked that it is well-formed.
func (l *large) assemble(request []byte, words [][]byte) [][]byte {
	args := l.args
	_, rest, _ := bytes.Cut(request, []byte("\r\n"))
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\r\n"))
		n, _ := number.ParseInt(line[1:])
		if n < budget.Large {
			words, rest = append(words, after[:n:n]), after[n+2:]
			continue
		}
		var arg []byte // nil if the request is refused
		if l.refusal == nil {
			arg, args = args[0], args[1:]
		}
		words, rest = append(words, arg), after[2:]
	}
	l.args, l.some, l.held = nil, false, true
	return words
}

// Refusal returns the reply to the last request if it got no memory, else nil.
func (in *Input) Refusal() *resp.Value {
	r := in.large.refusal
	in.large.refusal = nil
	return r
}
