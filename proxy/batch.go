package proxy

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"unsafe"

	"synod/protocol/caspaxos"
	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/txn"
)

const (
	// maxBatch is how many commands of one connection are under way at once.
	maxBatch = 4096
	// submitEach is after how many commands of a batch the first are submitted.
	submitEach = 256
	// keepCalls is how many calls a connection keeps for reuse, after
	// patientBatches batches that needed no more.
	keepCalls      = 64
	patientBatches = 64
	callBytes      = int64(unsafe.Sizeof(call{}) + 2*unsafe.Sizeof(uintptr(0)))
	// batchReplies is what the replies of one batch should not exceed by much,
	// in bytes. The next batch is smaller if they did.
	batchReplies = 8 << 20
	// writeBytes is when encoded replies are written before the batch is done.
	writeBytes = 1 << 20
	// firstBatch is how many commands the first batch of a connection has at most,
	// of which nobody knows yet how large their replies are.
	firstBatch = 16
)

// call is one request of a batch.
type call struct {
	entry  *entry // nil if there is no such command
	cmd    caspaxos.Command
	split  *command.Split
	parts  []*caspaxos.Command // of a split
	reply  *resp.Value         // nil until it is known
	proto  int8
	silent bool
}

// batch runs requests that arrived together: it submits their commands to the
// backend at once, waits once, and writes the replies in order.
type batch struct {
	s       *session
	started caspaxos.Mono // when commands begin; 0: to be read from the clock
	calls   []*call
	n       int                 // calls in use
	window  int                 // at most this many
	words   [][]byte            // the arguments of commands under way
	queue   []*caspaxos.Command // to be submitted
	flow    txn.Flow            // what submits them
	buf     []byte              // replies being encoded
	size    int                 // bytes of replies in this batch
	// streaming tells that a part of the reply in progress has been written.
	streaming bool
	slack     int // small batches in a row

	// read has the registers of snapshots under way. A later command on one
	// of them waits, since a snapshot may have to be taken again.
	read map[string]struct{}

	// pending counts commands under way, and one more until settle waits. Who
	// brings it to zero wakes the session.
	pending atomic.Int32
	wake    chan struct{}
	done    func(*caspaxos.Command) // finished, made once
	release func()                  // finished, for snapshots
}

func (b *batch) init(s *session) {
	b.s, b.window, b.wake = s, firstBatch, make(chan struct{}, 1)
	b.pending.Store(1)
	b.release = func() {
		if b.pending.Add(-1) == 0 {
			b.wake <- struct{}{}
		}
	}
	b.flow.To = s.srv.backend
	b.done = func(c *caspaxos.Command) {
		b.flow.Ended(c)
		b.release()
	}
}

// collect takes complete requests until there are none, the batch is full or
// the connection is to end. It begins to run them.
func (b *batch) collect() (more bool, failure *resp.Value) {
	s := b.s
	b.n, b.size = 0, 0
	for b.n < b.window && !b.full() {
		words, failure := s.in.next(s.limits())
		if words == nil || failure != nil {
			return false, failure
		}
		b.run(b.add(), words)
		if s.last {
			return false, nil
		}
	}
	return true, nil
}

// full reports whether commands are held back, as much is to come for those before
// them: what is behind is not taken yet.
func (b *batch) full() bool {
	if len(b.queue) < submitEach {
		return false
	}
	b.submit()
	return b.flow.Held()
}

func (b *batch) add() *call {
	if b.n == len(b.calls) {
		block := make([]call, min(max(len(b.calls), 1), keepCalls))
		for i := range block {
			b.calls = append(b.calls, &block[i])
		}
		b.s.out.mem.add(int64(len(block)) * callBytes)
	}
	b.n++
	return b.calls[b.n-1]
}

// run begins one request, as far as that is possible without waiting.
func (b *batch) run(c *call, words [][]byte) {
	s := b.s
	s.skipping, s.skipNext = s.skipNext, false
	c.proto, c.silent = int8(s.proto.Load()), s.muted()
	if c.reply = s.in.refusal(); c.reply != nil {
		return
	}
	spec, failure := command.Resolve(words)
	if failure != nil {
		c.reply = failure
		if isHTTP(words[0]) {
			s.end("possible attack: the client speaks HTTP")
			s.last = true
		}
		return
	}
	c.entry = s.srv.table[spec]
	if s.locked() && !spec.Has(command.NoAuth) {
		c.reply = errNoAuth
		return
	}
	if s.srv.pause.holds(spec) {
		if c = b.hold(c); c.reply != nil {
			return
		}
	}
	s.recent.Store(spec)
	switch {
	case spec.Key != nil:
		b.one(c, b.keep(words))
	case spec.Split != nil:
		b.several(c, b.keep(words))
	case spec.Local != nil:
		c.reply = spec.Local(words)
	default:
		if c.entry.waits {
			b.settle()
		}
		c.reply = c.entry.run(s, words)
		// HELLO answers in the version that it sets, CLIENT REPLY ON is heard.
		c.proto, c.silent = int8(s.proto.Load()), s.muted()
		if c.reply == nil {
			c.reply, c.silent = resp.OK, true
		}
	}
}

// errGone stands for the reply to a command that was not run, as nobody is there
// to have it.
var errGone = resp.Err("ERR the client disconnected while clients were paused")

// hold answers the requests before c and waits until c may run, while the
// server is paused. It returns c, which has a reply if it must not run: as in
// Redis, a command that waits ends with its client.
func (b *batch) hold(c *call) *call {
	i := b.n - 1
	b.settle()
	b.n = i
	_ = b.reply() // a failure comes back with the next reply
	if i < len(b.calls) {
		b.calls[0], b.calls[i] = b.calls[i], b.calls[0]
	} else {
		b.calls[0] = c
	}
	b.n, b.size = 1, 0
	if s := b.s; !s.srv.pause.wait(c.entry.spec, s.ending.Done(), func() bool { return hungUp(s.conn) }) {
		c.reply, c.silent, s.last = errGone, true, true
	}
	return c
}

// keep makes the arguments of a command stay as they are until its reply is
// written, and their bytes for good.
func (b *batch) keep(words [][]byte) [][]byte {
	b.s.in.keep(words)
	start := len(b.words)
	b.words = append(b.words, words...)
	return b.words[start:len(b.words):len(b.words)]
}

func (b *batch) one(c *call, args [][]byte) {
	spec := c.entry.spec
	op, failure := spec.Key(args)
	if failure != nil {
		c.reply = failure
		return
	}
	c.cmd.Register = b.s.register(args[spec.FirstKey])
	b.after(c.cmd.Register.Key)
	c.cmd.Op, c.cmd.Origin, c.cmd.Started, c.cmd.Done = op, uint64(b.s.id), b.now(), b.done
	b.queue = append(b.queue, &c.cmd)
}

func (b *batch) several(c *call, args [][]byte) {
	split, failure := c.entry.spec.Split(args)
	if failure != nil {
		c.reply = failure
		return
	}
	c.split = split
	c.parts = b.commands(split.Keys, split.Ops)
	for _, part := range c.parts {
		b.after(part.Register.Key)
	}
	snapshot := split.Snapshot && (len(c.parts) > 1 || split.Then != nil)
	if snapshot {
		if b.submit(); b.flow.Held() {
			b.settle() // what is held back comes before it
		}
	}
	for _, part := range c.parts { // after all waiting, so that it is one time
		part.Started = b.now()
	}
	if snapshot {
		b.snapshot(c)
		return
	}
	b.queue = append(b.queue, c.parts...)
}

// commands makes the commands that a split consists of.
func (b *batch) commands(keys [][]byte, ops []caspaxos.Operation) []*caspaxos.Command {
	block := make([]caspaxos.Command, len(ops))
	cmds := make([]*caspaxos.Command, len(ops))
	for i, op := range ops {
		block[i] = caspaxos.Command{Register: b.s.register(keys[i]), Op: op, Origin: uint64(b.s.id), Done: b.done}
		cmds[i] = &block[i]
	}
	return cmds
}

// now returns when a command that is begun now started: the time is read once
// for all that are submitted together, and again after waiting in between, so
// that no command's time runs before it could begin.
func (b *batch) now() caspaxos.Mono {
	if b.started == 0 {
		b.started = b.s.srv.backend.Now()
	}
	return b.started
}

// snapshot begins a multi-key read, behind what stands before it.
func (b *batch) snapshot(c *call) {
	if b.read == nil {
		b.read = map[string]struct{}{}
	}
	for _, part := range c.parts {
		b.read[part.Register.Key] = struct{}{}
	}
	b.pending.Add(1)
	var then txn.Then
	if c.split.Then != nil {
		then = func(cmds []*caspaxos.Command) []*caspaxos.Command {
			more := b.commands(c.split.Then(results(cmds)))
			for _, m := range more {
				m.Started = cmds[0].Started
			}
			return more
		}
	}
	b.s.srv.backend.Snapshot(c.parts, then, func(cmds []*caspaxos.Command) {
		c.parts = cmds
		b.release()
	})
	if then != nil {
		b.settle() // what else it reads nobody knows: later commands wait
	}
}

// results returns what commands that were done came to.
func results(cmds []*caspaxos.Command) []*resp.Value {
	out := make([]*resp.Value, len(cmds))
	for i, c := range cmds {
		out[i] = c.Result.(*resp.Value)
	}
	return out
}

// after waits for a snapshot under way that reads the register.
func (b *batch) after(key string) {
	if len(b.read) == 0 {
		return
	}
	if _, ok := b.read[key]; ok {
		b.settle()
	}
}

func (b *batch) submit() {
	if len(b.queue) == 0 {
		return
	}
	b.pending.Add(int32(len(b.queue)))
	b.flow.Submit(b.queue)
	clear(b.queue)
	b.queue = b.queue[:0]
}

// settle submits what is left and waits until nothing is under way.
func (b *batch) settle() {
	b.submit()
	if b.pending.Add(-1) != 0 {
		<-b.wake
	}
	b.pending.Store(1)
	b.started = 0
	clear(b.read)
}

// reply writes the replies, in order, and forgets the calls.
func (b *batch) reply() error {
	if b.n == 0 {
		return nil
	}
	var err error
	for _, c := range b.calls[:b.n] {
		v := c.result()
		b.s.srv.stats.count(c.entry, v)
		if err == nil && !c.silent {
			err = b.encode(v, int(c.proto))
		}
		*c = call{}
	}
	if err == nil {
		err = b.flush()
	}
	b.s.srv.stats.batch(b.n)
	b.rest()
	return err
}

// encode appends a reply to what is to be written. Of one that may be large, it
// writes what it has encoded while it goes on.
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
	write := b.s.out.write
	if b.streaming {
		write = b.s.out.more
	}
	err := write(b.buf)
	if cap(b.buf) > maxInput {
		b.buf = nil
	}
	b.buf, b.streaming = b.buf[:0], false
	return err
}

// rest keeps little memory between batches, and fits the next batch to the
// replies of this one.
func (b *batch) rest() {
	if b.size > batchReplies {
		b.window = max(1, int(int64(b.n)*batchReplies/int64(b.size)))
	} else {
		b.window = min(maxBatch, 2*b.window)
	}
	if b.slack++; b.n > keepCalls {
		b.slack = 0
	}
	if len(b.calls) > keepCalls && b.slack > patientBatches {
		b.s.out.mem.add(int64(keepCalls-len(b.calls)) * callBytes)
		b.calls, b.queue = slices.Clone(b.calls[:keepCalls]), nil
	}
	clear(b.words)
	b.words = b.words[:0]
	if cap(b.words) > 16*keepCalls {
		b.words = nil
	}
}

// result returns the reply of a call that is done.
func (c *call) result() *resp.Value {
	switch {
	case c.reply != nil:
		return c.reply
	case c.split == nil:
		if c.cmd.Err != nil {
			return failureOf(c.cmd.Err)
		}
		return c.cmd.Result.(*resp.Value)
	}
	if failure := c.partFailure(); failure != nil {
		return failure
	}
	return c.split.Combine(results(c.parts))
}

// partFailure returns the error of a split command of which a part failed. If
// others were done, or may have been, nobody can say that nothing was.
func (c *call) partFailure() *resp.Value {
	var failure error
	done := false
	for i := range c.parts {
		switch err := c.parts[i].Err; {
		case err == nil:
			done = true
		case failure == nil || errors.Is(err, caspaxos.ErrUncertain):
			failure = err
		}
	}
	switch {
	case failure == nil:
		return nil
	case done && !c.entry.spec.Has(command.ReadOnly):
		return resp.ErrUncertain
	}
	return failureOf(failure)
}

var errOverloaded = resp.Err("TRYAGAIN nothing was done: too many commands are waiting")

var errNoRoom = resp.Err("OOM nothing was done: what the command reads is more than the memory that the proxy has for it at present (--memory-limit)")

var errNodesBusy = resp.Err("OOM nothing was done: the command is more than the nodes have memory for at present (--memory-limit)")

// failureOf returns the error reply for the way in which a command failed.
func failureOf(err error) *resp.Value {
	var outage *caspaxos.Outage
	switch {
	case errors.As(err, &outage):
		return resp.Err("CLUSTERDOWN nothing was done: " + outage.Reason)
	case errors.Is(err, caspaxos.ErrNoQuorum):
		return resp.ErrClusterDown
	case errors.Is(err, caspaxos.ErrContention):
		return resp.ErrTryAgain
	case errors.Is(err, caspaxos.ErrOverloaded):
		return errOverloaded
	case errors.Is(err, caspaxos.ErrNoRoom):
		return errNoRoom
	case errors.Is(err, caspaxos.ErrBusy):
		return errNodesBusy
	case errors.Is(err, caspaxos.ErrDiskFull):
		return resp.ErrDisksFull
	}
	return resp.ErrUncertain
}

// isHTTP recognizes the first word of what a web page can make a browser send;
// Redis closes such a connection, and so do we.
func isHTTP(word []byte) bool {
	return bytes.EqualFold(word, []byte("host:")) || bytes.EqualFold(word, []byte("post"))
}
