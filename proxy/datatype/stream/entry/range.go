package entry

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

type length struct{ datatype.Reads }

// Len parses XLEN key.
func Len([][]byte) (operation.Operation, *resp.Value) { return length{}, nil }

func (length) Needs() register.Projection { return register.Projection{} }

func (length) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	return datatype.Reply(resp.Int(int64(v.Header.Size)))
}

// interval lists the entries of an interval.
type interval struct {
	datatype.Reads
	entries register.Range
	none    bool // COUNT 0
}

// GetRange parses XRANGE key start end [COUNT count].
func GetRange(args [][]byte) (operation.Operation, *resp.Value) {
	return parseGetRange(args[2], args[3], args[4:])
}

// GetRevRange parses XREVRANGE key end start [COUNT count].
func GetRevRange(args [][]byte) (operation.Operation, *resp.Value) {
	o, err := parseGetRange(args[3], args[2], args[4:])
	if err != nil {
		return nil, err
	}
	o.entries.Reverse = true
	return o, nil
}

func parseGetRange(start, end []byte, options [][]byte) (*interval, *resp.Value) {
	from, to, err := ParseInterval(start, end)
	if err != nil {
		return nil, err
	}
	o := &interval{entries: Range(from, to, 0)}
	for ; len(options) > 0; options = options[2:] {
		if !datatype.Is(options[0], "COUNT") || len(options) < 2 {
			return nil, resp.ErrSyntax
		}
		count, ok := number.ParseInt(options[1])
		if !ok {
			return nil, resp.ErrNotInteger
		}
		o.entries.Limit, o.none = Limit(count), count <= 0
	}
	return o, nil
}

func (o *interval) Needs() register.Projection {
	if o.none {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{o.entries}}
}

func (o *interval) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	switch {
	case !v.Header.Exists():
		return datatype.Reply(resp.List())
	case o.none:
		return datatype.Reply(resp.NilArray)
	}
	elems, _ := v.Range(o.entries)
	return datatype.Reply(Replies(elems))
}
