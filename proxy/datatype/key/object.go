package key

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/str"
)

type encoding struct{ datatype.Reads }

// Encoding parses OBJECT ENCODING key.
func Encoding([][]byte) (operation.Operation, *resp.Value) { return encoding{}, nil }

func (encoding) Needs() register.Projection { return str.EncodingNeeds() }

func (encoding) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		return datatype.Reply(resp.Nil)
	}
	return datatype.Reply(resp.Text(encodingOf(v)))
}

// about gives the same reply for every value, and Nil if there is none.
type about struct {
	datatype.Reads
	header
	reply *resp.Value
}

func (o about) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		return datatype.Reply(resp.Nil)
	}
	return datatype.Reply(o.reply)
}

var errNoFrequency = resp.Err("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")

// IdleTime parses OBJECT IDLETIME key. Access times are not tracked, so the
// reply is always 0.
func IdleTime([][]byte) (operation.Operation, *resp.Value) { return about{reply: resp.Int(0)}, nil }

// RefCount parses OBJECT REFCOUNT key.
func RefCount([][]byte) (operation.Operation, *resp.Value) { return about{reply: resp.Int(1)}, nil }

// Freq parses OBJECT FREQ key.
func Freq([][]byte) (operation.Operation, *resp.Value) { return about{reply: errNoFrequency}, nil }
