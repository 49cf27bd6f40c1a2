// Package key has the commands on keys of any type: existence, expiry,
// encoding, and DUMP and RESTORE. They are pure functions from a register's
// state to a change and a reply.
package key

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// header is embedded by operations that read no content.
type header struct{}

func (header) Needs() register.Projection { return register.Projection{} }

type del struct {
	datatype.Writes
	header
}

func (del) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		return datatype.Reply(resp.Int(0))
	}
	return datatype.Deletes(resp.Int(1))
}

type exists struct {
	datatype.Reads
	header
}

func (exists) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		return datatype.Reply(resp.Int(0))
	}
	return datatype.Reply(resp.Int(1))
}

// Del parses DEL and UNLINK key [key ...]. Each key is deleted separately.
func Del(args [][]byte) (*datatype.Split, *resp.Value) { return count(args, del{}), nil }

// Exists parses EXISTS key [key ...].
func Exists(args [][]byte) (*datatype.Split, *resp.Value) {
	s := count(args, exists{})
	s.Snapshot = true
	return s, nil
}

// Touch parses TOUCH key [key ...]. Access times are not tracked.
func Touch(args [][]byte) (*datatype.Split, *resp.Value) { return Exists(args) }

// count runs an operation on each key and adds up the replies.
func count(args [][]byte, op operation.Operation) *datatype.Split {
	s := &datatype.Split{Keys: args[1:], Ops: make([]operation.Operation, len(args)-1), Combine: datatype.Sum}
	for i := range s.Ops {
		s.Ops[i] = op
	}
	return s
}

type typeOf struct {
	datatype.Reads
	header
}

// Type parses TYPE key.
func Type([][]byte) (operation.Operation, *resp.Value) { return typeOf{}, nil }

func (typeOf) Execute(v register.View, _ int64) operation.Effect {
	return datatype.Reply(resp.Status(v.Header.Type.String()))
}
