package key

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/expiry"
	"synod/proxy/datatype/hash"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/rdb"
)

type dump struct{ datatype.Reads }

// Dump parses DUMP key.
func Dump([][]byte) (operation.Operation, *resp.Value) { return dump{}, nil }

func (dump) Needs() register.Projection { return register.Projection{All: true} }

func (dump) Execute(v register.View, now int64) operation.Effect {
	e := operation.Effect{Result: resp.Nil}
	if v.Header.Type == register.Hash {
		v, e.Change = hash.Live(v, now)
	}
	if v.Header.Exists() {
		e.Result = resp.Bytes(rdb.Dump(content(v)))
	}
	return e
}

var (
	errPayload  = resp.Err("ERR DUMP payload version or checksum are wrong")
	errFormat   = resp.Err("ERR Bad data format")
	errTTL      = resp.Err("ERR Invalid TTL value, must be >= 0")
	errIdleTime = resp.Err("ERR Invalid IDLETIME value, must be >= 0")
	errFreq     = resp.Err("ERR Invalid FREQ value, must be >= 0 and <= 255")
)

// restore creates a value from the output of DUMP.
type restore struct {
	replace bool
	ttl     int64 // milliseconds, 0: none
	base    expiry.Base
	header  register.Header
	ops     []register.Op
	// late is an error that is reported only if the key is free.
	late *resp.Value
}

// Restore parses RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds]
// [FREQ frequency]. IDLETIME and FREQ are validated but ignored, because values
// are never evicted.
func Restore(args [][]byte) (operation.Operation, *resp.Value) {
	o := &restore{base: expiry.Relative}
	if err := o.parseOptions(args[4:]); err != nil {
		return nil, err
	}
	o.late = o.parseValue(args[2], args[3])
	if o.late != nil && o.replace {
		return nil, o.late
	}
	return o, nil
}

func (o *restore) parseOptions(args [][]byte) *resp.Value {
	idle, freq := false, false
	for i := 0; i < len(args); i++ {
		more := i+1 < len(args)
		switch {
		case datatype.Is(args[i], "REPLACE"):
			o.replace = true
		case datatype.Is(args[i], "ABSTTL"):
			o.base = expiry.Absolute
		case datatype.Is(args[i], "IDLETIME") && more && !freq:
			n, ok := number.ParseInt(args[i+1])
			if !ok {
				return resp.ErrNotInteger
			}
			if n < 0 {
				return errIdleTime
			}
			idle = true
			i++
		case datatype.Is(args[i], "FREQ") && more && !idle:
			n, ok := number.ParseInt(args[i+1])
			if !ok {
				return resp.ErrNotInteger
			}
			if n < 0 || n > 255 {
				return errFreq
			}
			freq = true
			i++
		default:
			return resp.ErrSyntax
		}
	}
	return nil
}

func (o *restore) parseValue(ttl, payload []byte) *resp.Value {
	var ok bool
	if o.ttl, ok = number.ParseInt(ttl); !ok {
		return resp.ErrNotInteger
	}
	if o.ttl < 0 {
		return errTTL
	}
	body, err := rdb.Verify(payload)
	if err != nil {
		return errPayload
	}
	value, err := rdb.Parse(body)
	if err != nil {
		return errFormat
	}
	o.header, o.ops = build(value)
	return nil
}

func (o *restore) ReadOnly() bool             { return false }
func (o *restore) Blind() bool                { return o.replace }
func (o *restore) Needs() register.Projection { return register.Projection{} }

func (o *restore) Execute(v register.View, now int64) operation.Effect {
	switch {
	case v.Header.Exists() && !o.replace:
		return datatype.Reply(resp.ErrBusyKey)
	case o.late != nil:
		return datatype.Reply(o.late)
	}
	h := o.header
	if o.ttl != 0 {
		h.Expiry = o.ttl
		if o.base == expiry.Relative {
			h.Expiry += now // may overflow, as in Redis
		}
		if h.Expiry <= now {
			return datatype.Deletes(resp.OK)
		}
	}
	return datatype.Becomes(h, o.ops, resp.OK)
}
