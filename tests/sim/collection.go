package sim

import (
	"fmt"
	"strconv"
	"strings"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/protocol/wire"
	"synod/proxy/command"
)

// This file has the operations of kind Call: real commands on collections, as
// they are in the command table. What they mean is tested elsewhere; here it is
// whether projections, deltas, pages and repairs give what the same command
// does on the whole state. So the specification of a call is the command
// itself, executed on all of the state.

// collections are what Calls do to the registers, one type to each.
var collections = [MaxRegs][]string{
	{"RPUSH %k %v", "RPUSH %k %v %v", "LPUSH %k %v", "LPOP %k", "RPOP %k 2", "LINDEX %k %n", "LRANGE %k 0 -1",
		"LRANGE %k %n %n", "LINSERT %k AFTER %m %v", "LREM %k 1 %m", "LSET %k %n %v", "LTRIM %k 1 -1", "LLEN %k"},
	{"ZADD %k %n %m", "ZADD %k %n %m %n %m", "ZINCRBY %k 1 %m", "ZREM %k %m", "ZRANK %k %m", "ZCOUNT %k 0 %n",
		"ZRANGE %k %n 3", "ZRANGE %k 0 -1 WITHSCORES", "ZPOPMIN %k", "ZREMRANGEBYRANK %k 0 0", "ZSCORE %k %m", "ZCARD %k"},
	{"HSET %k %m %v", "HSET %k %m %v %m %v", "HDEL %k %m", "HINCRBY %k counter 1", "HGET %k %m", "HGETALL %k",
		"HSETNX %k %m %v", "HLEN %k", "HSCAN %k 0 COUNT 2"},
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

// executeCall runs a command, with its reply as the operation's value. A state
// that contradicts itself, as there may be where a rule is omitted, can make a
// command panic: that is an answer which no specification gives.
func (o *Op) executeCall(v register.View, now int64) (e caspaxos.Effect) {
	defer func() {
		if why := recover(); why != nil {
			e = caspaxos.Effect{Result: Out{Value: fmt.Sprintf("panic: %v", why)}}
		}
	}()
	e = o.command.Execute(v, now)
	if e.Need == nil {
		e.Result = Out{Existed: v.Header.Exists(), Done: true, Value: string(e.Result.(*resp.Value).AppendTo(nil, 3))}
	}
	return e
}

// applyCall is executeCall as the specification: on the whole state.
func (v value) applyCall(o *Op) (after value, out Out) {
	whole := register.Nothing()
	if v.exists {
		var err error
		if whole, err = wire.DecodeView([]byte(v.state)); err != nil {
			panic(fmt.Sprintf("sim: state of a collection: %v", err))
		}
	}
	e := o.executeCall(whole, 0)
	if e.Need != nil {
		panic("sim: a command needs more than everything: " + o.words)
	}
	out = e.Result.(Out)
	if e.Change.Kind == register.None {
		return v, out
	}
	next := whole.Apply(e.Change)
	if !next.Header.Exists() {
		return value{}, out
	}
	return value{exists: true, state: string(wire.AppendView(nil, &next))}, out
}
