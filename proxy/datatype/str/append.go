package str

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// appendTo writes after the end of the string.
type appendTo struct {
	datatype.Writes
	value []byte
}

// Append parses APPEND key value.
func Append(args [][]byte) (operation.Operation, *resp.Value) {
	return &appendTo{value: args[2]}, nil
}

func (*appendTo) Needs() register.Projection { return register.Projection{} }

func (o *appendTo) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() {
		h := register.Header{Type: register.String, Size: uint64(len(o.value))}
		return datatype.Becomes(h, whole(o.value), resp.Int(int64(len(o.value))))
	}
	return place(v.Header, int64(v.Header.Size), o.value)
}

// place writes a value at an offset, unless the string would become too long,
// and replies with the string's new size.
func place(old register.Header, offset int64, value []byte) operation.Effect {
	end := offset + int64(len(value))
	if end > maxSize.Load() || end < offset {
		return datatype.Reply(resp.ErrTooLong)
	}
	size := max(int64(old.Size), end)
	h := rewritten(old, int(size), encodingRaw)
	return datatype.Changes(old, h, overwrite(nil, old.Size, uint64(offset), value), resp.Int(size))
}

// setRange overwrites part of the string.
type setRange struct {
	datatype.Writes
	offset int64
	value  []byte
}

var errOffset = resp.Err("ERR offset is out of range")

// SetRange parses SETRANGE key offset value.
func SetRange(args [][]byte) (operation.Operation, *resp.Value) {
	offset, ok := number.ParseInt(args[2])
	switch {
	case !ok:
		return nil, resp.ErrNotInteger
	case offset < 0:
		return nil, errOffset
	}
	return &setRange{offset: offset, value: args[3]}, nil
}

func (*setRange) Needs() register.Projection { return register.Projection{} }

func (o *setRange) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if len(o.value) == 0 {
		return datatype.Reply(resp.Int(int64(v.Header.Size)))
	}
	return place(v.Header, o.offset, o.value)
}
