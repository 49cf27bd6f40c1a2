package hash

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/expiry"
	"synod/proxy/datatype/number"
)

// latest is the latest field expiry that Redis accepts.
const latest = 1<<46 - 1

// The replies for a field.
const (
	noField    = -2
	noExpiry   = -1
	notAllowed = 0
	changed    = 1
	deleted    = 2
)

var (
	errNegative  = resp.Err("ERR invalid expire time, must be >= 0")
	errFields    = resp.Err("ERR Mandatory argument FIELDS is missing or not at the right position")
	errNumFields = resp.Err("ERR Parameter `numFields` should be greater than 0")
	errNumber    = resp.Err("ERR Number of fields must be a positive integer")
	errMatch     = resp.Err("ERR The `numfields` parameter must match the number of arguments")
)

// parseFields reads FIELDS numfields field [field ...], which must be all of
// args, and returns the fields' element keys. count is the error if numfields
// is not a number or is too small.
func parseFields(args [][]byte, count *resp.Value) ([][]byte, *resp.Value) {
	if !datatype.Is(args[0], "FIELDS") {
		return nil, errFields
	}
	n, ok := number.ParseInt(args[1])
	switch names := args[2:]; {
	case !ok || n < 1:
		return nil, count
	case n != int64(len(names)):
		return nil, errMatch
	default:
		return appendKeys(nil, names), nil
	}
}

// each is a command with one reply for each field that it names.
type each struct {
	keys [][]byte
	err  *resp.Value // error in the arguments, reported only after the type check
}

func (o *each) Needs() register.Projection { return register.Projection{Keys: o.keys} }

// check returns the error that the command ends with, if any.
func (o *each) check(h register.Header) *resp.Value {
	if err := element.Check(h, register.Hash); err != nil {
		return err
	}
	return o.err
}

// answers lists the result for each field, in order.
func (o *each) answers(result func(key []byte) int64) *resp.Value {
	elems := make([]resp.Value, len(o.keys))
	for i, key := range o.keys {
		elems[i] = *resp.Int(result(key))
	}
	return resp.List(elems...)
}

// edit changes the fields in order.
func (o *each) edit(v register.View, now int64, result func(e *edit, key []byte) int64) operation.Effect {
	e := editOf(v, now)
	e.edited = make(map[string]field, len(o.keys))
	return e.effect(compact, o.answers(func(key []byte) int64 { return result(&e, key) }))
}

// condition says for which fields the expiry may change.
type condition uint8

const (
	always condition = iota
	ifNone
	ifSome
	ifLater
	ifEarlier
)

// parseCondition reads the condition, if args begin with one, and returns the
// remaining arguments.
func parseCondition(args [][]byte) (condition, [][]byte) {
	for i, name := range []string{"NX", "XX", "GT", "LT"} {
		if datatype.Is(args[0], name) {
			return ifNone + condition(i), args[1:]
		}
	}
	return always, args
}

// allows reports whether a field's expiry may change from old (0 for never) to
// a new time. As in Redis, never is later than any time.
func (c condition) allows(old, at int64) bool {
	switch c {
	case ifNone:
		return old == 0
	case ifSome:
		return old != 0
	case ifLater:
		return old != 0 && at > old
	case ifEarlier:
		return old == 0 || at < old
	}
	return true
}

// expire sets when fields expire.
type expire struct {
	datatype.Writes
	each
	condition
	time    expiry.Time
	tooLate *resp.Value // the error if the time is after latest
	late    *resp.Value // error in the arguments after the time
}

// parseExpire parses a command key time [NX|XX|GT|LT] FIELDS numfields field
// [field ...]. As in Redis, a type mismatch is reported first, then errors in
// the order of the arguments.
func parseExpire(args [][]byte, unit expiry.Unit, base expiry.Base, command string) (operation.Operation, *resp.Value) {
	o := &expire{tooLate: expiry.Invalid(command)}
	n, ok := number.ParseInt(args[2])
	switch {
	case !ok:
		o.err = resp.ErrNotInteger
	case n < 0:
		o.err = errNegative
	case n > latest/int64(unit):
		o.err = o.tooLate
	default:
		o.time, o.err = expiry.Parse(args[2], unit, base, command)
	}
	c, rest := parseCondition(args[3:])
	o.condition = c
	o.keys, o.late = parseFields(rest, errNumFields)
	return o, nil
}

// Expire parses HEXPIRE key seconds [NX|XX|GT|LT] FIELDS numfields field
// [field ...].
func Expire(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Seconds, expiry.Relative, "hexpire")
}

// PExpire parses HPEXPIRE, which is HEXPIRE in milliseconds.
func PExpire(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Milliseconds, expiry.Relative, "hpexpire")
}

// ExpireAt parses HEXPIREAT, which is HEXPIRE with a Unix time.
func ExpireAt(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Seconds, expiry.Absolute, "hexpireat")
}

// PExpireAt parses HPEXPIREAT, which is HEXPIREAT in milliseconds.
func PExpireAt(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Milliseconds, expiry.Absolute, "hpexpireat")
}

func (o *expire) Execute(v register.View, now int64) operation.Effect {
	if err := o.check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	at, err := o.time.At(now)
	switch {
	case err != nil || at > latest:
		return datatype.Reply(o.tooLate)
	case o.late != nil:
		return datatype.Reply(o.late)
	}
	return o.edit(v, now, func(e *edit, key []byte) int64 {
		f, exists := e.live(key)
		switch {
		case !exists:
			return noField
		case !o.allows(f.expiry, at):
			return notAllowed
		case at <= e.now:
			e.remove(key, f)
			return deleted
		}
		e.put(key, field{f.value, at}.append(nil))
		return changed
	})
}

// persist removes the expiry of fields.
type persist struct {
	datatype.Writes
	each
}

// Persist parses HPERSIST key FIELDS numfields field [field ...].
func Persist(args [][]byte) (operation.Operation, *resp.Value) {
	o := &persist{}
	o.keys, o.err = parseFields(args[2:], errNumber)
	return o, nil
}

func (o *persist) Execute(v register.View, now int64) operation.Effect {
	if err := o.check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	return o.edit(v, now, func(e *edit, key []byte) int64 {
		f, exists := e.live(key)
		switch {
		case !exists:
			return noField
		case f.expiry == 0:
			return noExpiry
		}
		e.put(key, field{value: f.value}.append(nil))
		return changed
	})
}

// ttl replies with the times when fields expire.
type ttl struct {
	datatype.Reads
	each
	unit expiry.Unit
	base expiry.Base
}

func parseTTL(args [][]byte, unit expiry.Unit, base expiry.Base) (operation.Operation, *resp.Value) {
	o := &ttl{unit: unit, base: base}
	o.keys, o.err = parseFields(args[2:], errNumber)
	return o, nil
}

// TTL parses HTTL key FIELDS numfields field [field ...].
func TTL(args [][]byte) (operation.Operation, *resp.Value) {
	return parseTTL(args, expiry.Seconds, expiry.Relative)
}

// PTTL parses HPTTL key FIELDS numfields field [field ...].
func PTTL(args [][]byte) (operation.Operation, *resp.Value) {
	return parseTTL(args, expiry.Milliseconds, expiry.Relative)
}

// ExpireTime parses HEXPIRETIME key FIELDS numfields field [field ...].
func ExpireTime(args [][]byte) (operation.Operation, *resp.Value) {
	return parseTTL(args, expiry.Seconds, expiry.Absolute)
}

// PExpireTime parses HPEXPIRETIME key FIELDS numfields field [field ...].
func PExpireTime(args [][]byte) (operation.Operation, *resp.Value) {
	return parseTTL(args, expiry.Milliseconds, expiry.Absolute)
}

func (o *ttl) Execute(v register.View, now int64) operation.Effect {
	if err := o.check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	l := lookAt(v.Header, now)
	since := int64(0)
	if o.base == expiry.Relative {
		since = now
	}
	unit := int64(o.unit)
	return l.Effect(o.answers(func(key []byte) int64 {
		f, exists := l.get(v, key)
		switch {
		case !exists:
			return noField
		case f.expiry == 0:
			return noExpiry
		}
		return (f.expiry - since + unit - 1) / unit
	}))
}
