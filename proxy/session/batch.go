package session

import (
	"bytes"
	"slices"
	"sync/atomic"
	"unsafe"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/txn"
)

const (
	// maxBatch is how many commands of one connection run at once.
	maxBatch = 4096
	// submitEach is how many commands are submitted together.
	submitEach = 256
	// keepCalls is how many calls a connection keeps for reuse after
	// patientBatches batches that needed no more.
	keepCalls      = 64
	patientBatches = 64
	callBytes      = int64(unsafe.Sizeof(call{}) + 2*unsafe.Sizeof(uintptr(0)))
	// batchReplies is the intended size of a batch's replies, in bytes. After
	// larger ones, the next batch has fewer commands.
	batchReplies = 8 << 20
	// writeBytes is how many encoded bytes are written before the batch is done.
	writeBytes = 1 << 20
	// firstBatch bounds the first batch of a connection: the size of its replies
	// is unknown.
	firstBatch = 16
)

// call is one request of a batch.
type call struct {
	command *Command // nil if there is no such command
	cmd     proposer.Command
	split   *command.Split
	parts   []*proposer.Command // of a split
	reply   *resp.Value         // nil until it is known
	proto   int8
	silent  bool // it gets no reply
}

// batch runs requests that arrived together: it submits their commands to the
// backend together, waits once, and writes the replies in order.
type batch struct {
	s       *Session
	started instant.Mono // when commands begin; 0: read the clock
	calls   []*call
	n       int                 // calls in use
	window  int                 // bounds n
	words   [][]byte            // arguments of running commands
	queue   []*proposer.Command // to be submitted
	flow    txn.Flow            // submits them
	buf     []byte              // encoded replies
	size    int                 // bytes of replies in this batch
	// streaming: a part of the reply in progress has been written.
	streaming bool
	slack     int // small batches in a row

	// read has the registers of running snapshots. A later command on one of them
	// waits, since a snapshot may have to be taken again.
	read map[string]struct{}

	// pending counts running commands, plus one until wait is called. Whoever
	// brings it to zero wakes the session.
	pending atomic.Int32
	wake    chan struct{}
	done    func(*proposer.Command) // finished, made once
	release func()                  // finished, for snapshots
}

func (b *batch) init(s *Session) {
	b.s, b.window, b.wake = s, firstBatch, make(chan struct{}, 1)
	b.pending.Store(1)
	b.release = func() {
		if b.pending.Add(-1) == 0 {
			b.wake <- struct{}{}
		}
	}
	b.flow.To = s.group.cfg.Backend
	b.done = func(c *proposer.Command) {
		b.flow.Ended(c)
		b.release()
	}
}

// collect starts complete requests until there are none, the batch is full or the
// connection is to end.
func (b *batch) collect() (more bool, failure *resp.Value) {
	s := b.s
	b.n, b.size = 0, 0
	for b.n < b.window && !b.full() {
		words, failure := s.in.Next(s.limits())
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

// full reports whether the flow holds commands back, because those before them have
// much to read. Then no further requests are taken.
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
		b.s.account.Add(int64(len(block)) * callBytes)
	}
	b.n++
	return b.calls[b.n-1]
}

// run starts one request.
func (b *batch) run(c *call, words [][]byte) {
	s := b.s
	s.skipping, s.skipNext = s.skipNext, false
	c.proto, c.silent = int8(s.proto.Load()), s.muted()
	if c.reply = s.in.Refusal(); c.reply != nil {
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
	c.command = s.group.cfg.Commands[spec]
	if s.locked() && !spec.Has(command.NoAuth) {
		c.reply = errNoAuth
		return
	}
	if s.group.pause.holds(spec) {
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
		if c.command.Waits {
			b.wait()
		}
		c.reply = c.command.Run(s, words)
		// The reply to HELLO is in the version that it sets, CLIENT REPLY ON is
		// answered.
		c.proto, c.silent = int8(s.proto.Load()), s.muted()
		if c.reply == nil {
			c.reply, c.silent = resp.OK, true
		}
	}
}

// errGone is what a command that did not run counts as. No client gets it.
var errGone = resp.Err("ERR the client disconnected while clients were paused")

// hold answers the requests before c and waits for the end of the pause. It returns
// c, now the first call of the batch, with a reply if c must not run: as in Redis,
// a command that waits is dropped when its client disconnects.
func (b *batch) hold(c *call) *call {
	i := b.n - 1
	b.wait()
	b.n = i
	_ = b.reply() // the next reply returns the error again
	if i < len(b.calls) {
		b.calls[0], b.calls[i] = b.calls[i], b.calls[0]
	} else {
		b.calls[0] = c
	}
	b.n, b.size = 1, 0
	if s := b.s; !s.group.pause.wait(c.command.Spec, s.ending.Done(), func() bool { return hungUp(s.conn) }) {
		c.reply, c.silent, s.last = errGone, true, true
	}
	return c
}

// keep copies the slice of a command's arguments until the reply is written, and
// has their bytes kept for good.
func (b *batch) keep(words [][]byte) [][]byte {
	b.s.in.Keep(words)
	start := len(b.words)
	b.words = append(b.words, words...)
	return b.words[start:len(b.words):len(b.words)]
}

func (b *batch) one(c *call, args [][]byte) {
	spec := c.command.Spec
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
	split, failure := c.command.Spec.Split(args)
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
			b.wait() // for what is held back: it comes first
		}
	}
	for _, part := range c.parts { // not before: all waits are over now
		part.Started = b.now()
	}
	if snapshot {
		b.snapshot(c)
		return
	}
	b.queue = append(b.queue, c.parts...)
}

// commands makes the commands that a split consists of.
func (b *batch) commands(keys [][]byte, ops []operation.Operation) []*proposer.Command {
	block := make([]proposer.Command, len(ops))
	cmds := make([]*proposer.Command, len(ops))
	for i, op := range ops {
		block[i] = proposer.Command{Register: b.s.register(keys[i]), Op: op, Origin: uint64(b.s.id), Done: b.done}
		cmds[i] = &block[i]
	}
	return cmds
}

// now returns the start time of a command. The clock is read once for all that are
// submitted together, and again after a wait, so that a command's time limit does
// not include the wait.
func (b *batch) now() instant.Mono {
	if b.started == 0 {
		b.started = b.s.group.cfg.Backend.Now()
	}
	return b.started
}

// snapshot starts a multi-key read, after the commands before it.
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
		then = func(cmds []*proposer.Command) []*proposer.Command {
			more := b.commands(c.split.Then(results(cmds)))
			for _, m := range more {
				m.Started = cmds[0].Started
			}
			return more
		}
	}
	b.s.group.cfg.Backend.Snapshot(c.parts, then, func(cmds []*proposer.Command) {
		c.parts = cmds
		b.release()
	})
	if then != nil {
		b.wait() // later commands may be on registers that it reads next
	}
}

// results returns the replies of commands that succeeded.
func results(cmds []*proposer.Command) []*resp.Value {
	out := make([]*resp.Value, len(cmds))
	for i, c := range cmds {
		out[i] = c.Result.(*resp.Value)
	}
	return out
}

// after waits if a running snapshot reads the register.
func (b *batch) after(key string) {
	if len(b.read) == 0 {
		return
	}
	if _, ok := b.read[key]; ok {
		b.wait()
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

// wait submits what is queued and waits until no command runs.
func (b *batch) wait() {
	b.submit()
	if b.pending.Add(-1) != 0 {
		<-b.wake
	}
	b.pending.Store(1)
	b.started = 0
	clear(b.read)
}

// adjust bounds the memory that is kept between batches, and the next batch by the
// size of this one's replies.
func (b *batch) adjust() {
	if b.size > batchReplies {
		b.window = max(1, int(int64(b.n)*batchReplies/int64(b.size)))
	} else {
		b.window = min(maxBatch, 2*b.window)
	}
	if b.slack++; b.n > keepCalls {
		b.slack = 0
	}
	if len(b.calls) > keepCalls && b.slack > patientBatches {
		b.s.account.Add(int64(keepCalls-len(b.calls)) * callBytes)
		b.calls, b.queue = slices.Clone(b.calls[:keepCalls]), nil
	}
	clear(b.words)
	b.words = b.words[:0]
	if cap(b.words) > 16*keepCalls {
		b.words = nil
	}
}

// isHTTP recognizes requests that a web page can make a browser send. Like Redis,
// the proxy closes such connections.
func isHTTP(word []byte) bool {
	return bytes.EqualFold(word, []byte("host:")) || bytes.EqualFold(word, []byte("post"))
}
