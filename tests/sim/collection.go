package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/protocol/wire"
	"synod/proxy/command"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/hash"
)

// This file has the operations of kind Call: real commands on collections from
// the command table. Their meaning is tested elsewhere. Here we test that
// projections, deltas, pages and repairs give the same result as the command on
// the whole state. So a call's specification is the command itself, executed on
// the whole state and, if fields expire, at any time at which it may have run.

// collections are what Calls do to the registers, one type to each. HLEN is not
// among them: it tells which fields that are past their time are still there.
var collections = [MaxRegs][]string{
	{"RPUSH %k %v", "RPUSH %k %v %v", "LPUSH %k %v", "LPOP %k", "RPOP %k 2", "LINDEX %k %n", "LRANGE %k 0 -1",
		"LRANGE %k %n %n", "LINSERT %k AFTER %m %v", "LREM %k 1 %m", "LSET %k %n %v", "LTRIM %k 1 -1", "LLEN %k"},
	{"ZADD %k %n %m", "ZADD %k %n %m %n %m", "ZINCRBY %k 1 %m", "ZREM %k %m", "ZRANK %k %m", "ZCOUNT %k 0 %n",
		"ZRANGE %k %n 3", "ZRANGE %k 0 -1 WITHSCORES", "ZPOPMIN %k", "ZREMRANGEBYRANK %k 0 0", "ZSCORE %k %m", "ZCARD %k"},
	{"HSET %k %m %v", "HSET %k %m %v %m %v", "HDEL %k %m", "HINCRBY %k counter 1", "HGET %k %m", "HGETALL %k",
		"HSETNX %k %m %v", "HKEYS %k", "HSCAN %k 0 COUNT 2",
		"HPEXPIREAT %k %t FIELDS 1 %m", "HPEXPIREAT %k %t FIELDS 2 %m counter", "HPERSIST %k FIELDS 1 %m", "HPEXPIRETIME %k FIELDS 1 %m"},
	{"SADD %k %m", "SADD %k %m %m", "SREM %k %m", "SISMEMBER %k %m", "SMEMBERS %k", "SCARD %k", "SSCAN %k 0 COUNT 2"},
}

// call makes a random command on the operation's register.
func (w *World) call(op *Op) {
	of := collections[op.Reg]
	words := strings.Fields(of[w.rng.IntN(len(of))])
	for i, word := range words {
		switch word {
		case "%k":
			words[i] = regName(op.Reg)
		case "%v": // in no other command
			words[i] = fmt.Sprintf("v%d.%d", op.ID, i)
		case "%m":
			words[i] = "m" + strconv.Itoa(w.rng.IntN(6))
		case "%t": // soon
			op.Expiry = w.trueWall() + w.rng.Int64N(40)
			words[i] = strconv.FormatInt(op.Expiry, 10)
		case "%n":
			words[i] = strconv.Itoa(w.rng.IntN(8) - 2)
		}
	}
	op.ask(words...)
}

// ask makes the operation that command.
func (o *Op) ask(words ...string) {
	o.words = strings.Join(words, " ")
	args := make([][]byte, len(words))
	for i, word := range words {
		args[i] = []byte(word)
	}
	spec, failure := command.Resolve(args)
	if failure == nil {
		o.command, failure = spec.Key(args)
	}
	if failure != nil {
		panic(fmt.Sprintf("sim: %s: %s", o.words, failure.Str))
	}
}

// executeCall runs a command, with its reply as the operation's value. A
// command may panic on an inconsistent state, which can occur when a rule is
// omitted. The panic is an answer that no specification gives.
func (o *Op) executeCall(v register.View, now int64) (e operation.Effect) {
	defer func() {
		if why := recover(); why != nil {
			e = operation.Effect{Result: Out{Value: fmt.Sprintf("panic: %v", why)}}
		}
	}()
	e = o.command.Execute(v, now)
	if e.Need == nil {
		e.Result = Out{Existed: v.Header.Exists(), Done: true, Value: string(e.Result.(*resp.Value).AppendTo(nil, 3))}
	}
	return e
}

// whole is the state of a collection.
func (v value) whole() register.View {
	if !v.exists {
		return register.Nothing()
	}
	whole, err := wire.DecodeView([]byte(v.state))
	if err != nil {
		panic(fmt.Sprintf("sim: state of a collection: %v", err))
	}
	return whole
}

// callSteps is steps for a command on a collection. It may have run at any time
// within the bounds of the clocks, which affects which fields of a hash had
// expired.
func (v value) callSteps(in *input, known bool, out Out) (next []value) {
	whole := v.whole()
	times := []int64{in.lowest}
	for _, at := range append(fieldTimes(whole), in.op.Expiry) {
		if at > in.lowest && at <= in.highest {
			times = append(times, at)
		}
	}
	for _, now := range times {
		for _, before := range reaped(whole, now) {
			after, expected := applyCall(in.op, before, now)
			if (!known || out == expected) && !slices.Contains(next, after) {
				next = append(next, after)
			}
		}
	}
	return next
}

// reaped returns the possible states at a time: the state itself, and the state
// without expired fields, which an unanswered read may have removed.
func reaped(whole register.View, now int64) []register.View {
	if len(fieldTimes(whole)) > 0 {
		if live, c := hash.Live(whole, now); c.Kind != register.None {
			return []register.View{whole, live}
		}
	}
	return []register.View{whole}
}

// fieldTimes are the times at which fields of a hash expire, which its index
// has.
func fieldTimes(whole register.View) (times []int64) {
	if whole.Header.Type != register.Hash || len(whole.Header.Aux) == 0 {
		return nil
	}
	index, _ := whole.Range(register.Range{From: []byte(element.End)})
	for _, e := range index {
		if at := e.Key[len(element.End):]; len(at) >= 8 {
			times = append(times, int64(binary.BigEndian.Uint64(at)))
		}
	}
	return times
}

// applyCall is executeCall as the specification: on the whole state.
func applyCall(o *Op, whole register.View, now int64) (after value, out Out) {
	e := o.executeCall(whole, now)
	if e.Need != nil {
		panic("sim: a command needs more than everything: " + o.words)
	}
	out = e.Result.(Out)
	next := whole.Apply(e.Change)
	if !next.Header.Exists() {
		return value{}, out
	}
	return value{exists: true, state: string(wire.AppendView(nil, &next))}, out
}
