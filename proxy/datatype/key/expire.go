package key

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/expiry"
)

// condition restricts which expiry a new one may replace.
type condition struct {
	none    bool // NX: only if there is none
	some    bool // XX: only if there is one
	earlier bool // GT: only if the new expiry is later
	later   bool // LT: only if the new expiry is earlier; no expiry counts as the latest
}

var (
	errConditions = resp.Err("ERR NX and XX, GT or LT options at the same time are not compatible")
	errBothWays   = resp.Err("ERR GT and LT options at the same time are not compatible")
)

func parseCondition(args [][]byte) (c condition, err *resp.Value) {
	for _, a := range args {
		switch {
		case datatype.Is(a, "NX"):
			c.none = true
		case datatype.Is(a, "XX"):
			c.some = true
		case datatype.Is(a, "GT"):
			c.earlier = true
		case datatype.Is(a, "LT"):
			c.later = true
		default:
			return c, resp.ErrUnsupportedOption(a)
		}
	}
	switch {
	case c.none && (c.some || c.earlier || c.later):
		return c, errConditions
	case c.earlier && c.later:
		return c, errBothWays
	}
	return c, nil
}

// allows reports whether an expiry may replace old, which is 0 for none.
func (c condition) allows(old, at int64) bool {
	switch {
	case c.none && old != 0, c.some && old == 0:
		return false
	case c.earlier && (old == 0 || at <= old):
		return false
	case c.later && old != 0 && at >= old:
		return false
	}
	return true
}

// expire sets the expiry.
type expire struct {
	datatype.Writes
	header
	time expiry.Time
	condition
}

func parseExpire(args [][]byte, unit expiry.Unit, base expiry.Base, command string) (operation.Operation, *resp.Value) {
	c, err := parseCondition(args[3:])
	if err != nil {
		return nil, err
	}
	t, err := expiry.Parse(args[2], unit, base, command)
	if err != nil {
		return nil, err
	}
	return &expire{time: t, condition: c}, nil
}

// Expire parses EXPIRE key seconds [NX|XX|GT|LT].
func Expire(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Seconds, expiry.Relative, "expire")
}

// PExpire parses PEXPIRE key milliseconds [NX|XX|GT|LT].
func PExpire(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Milliseconds, expiry.Relative, "pexpire")
}

// ExpireAt parses EXPIREAT key unix-seconds [NX|XX|GT|LT].
func ExpireAt(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Seconds, expiry.Absolute, "expireat")
}

// PExpireAt parses PEXPIREAT key unix-milliseconds [NX|XX|GT|LT].
func PExpireAt(args [][]byte) (operation.Operation, *resp.Value) {
	return parseExpire(args, expiry.Milliseconds, expiry.Absolute, "pexpireat")
}

func (o *expire) Execute(v register.View, now int64) operation.Effect {
	at, err := o.time.At(now)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case !v.Header.Exists() || !o.allows(v.Header.Expiry, at):
		return datatype.Reply(resp.Int(0))
	case at <= now:
		return datatype.Deletes(resp.Int(1))
	}
	h := v.Header
	h.Expiry = at
	return datatype.Changes(v.Header, h, nil, resp.Int(1))
}

type persist struct {
	datatype.Writes
	header
}

// Persist parses PERSIST key.
func Persist([][]byte) (operation.Operation, *resp.Value) { return persist{}, nil }

func (persist) Execute(v register.View, _ int64) operation.Effect {
	h := v.Header
	if h.Expiry == 0 {
		return datatype.Reply(resp.Int(0))
	}
	h.Expiry = 0
	return datatype.Changes(v.Header, h, nil, resp.Int(1))
}

// ttl replies with the time when the value expires.
type ttl struct {
	datatype.Reads
	header
	unit expiry.Unit
	base expiry.Base
}

// TTL parses TTL key.
func TTL([][]byte) (operation.Operation, *resp.Value) {
	return ttl{unit: expiry.Seconds, base: expiry.Relative}, nil
}

// PTTL parses PTTL key.
func PTTL([][]byte) (operation.Operation, *resp.Value) {
	return ttl{unit: expiry.Milliseconds, base: expiry.Relative}, nil
}

// ExpireTime parses EXPIRETIME key.
func ExpireTime([][]byte) (operation.Operation, *resp.Value) {
	return ttl{unit: expiry.Seconds, base: expiry.Absolute}, nil
}

// PExpireTime parses PEXPIRETIME key.
func PExpireTime([][]byte) (operation.Operation, *resp.Value) {
	return ttl{unit: expiry.Milliseconds, base: expiry.Absolute}, nil
}

func (o ttl) Execute(v register.View, now int64) operation.Effect {
	switch {
	case !v.Header.Exists():
		return datatype.Reply(resp.Int(-2))
	case v.Header.Expiry == 0:
		return datatype.Reply(resp.Int(-1))
	}
	n := v.Header.Expiry
	if o.base == expiry.Relative {
		n = max(n-now, 0)
	}
	if o.unit == expiry.Seconds {
		n = int64((uint64(n) + 500) / 1000)
	}
	return datatype.Reply(resp.Int(n))
}
