// Package rdb reads and writes single values in Redis's dump format, used by
// DUMP, RESTORE and RDB files: a type, the value and, in a dump, the format's
// version and a checksum.
//
// Values are written like Redis 7.0 does, with the encodings that it would
// choose; hashes whose fields expire are written like Redis 7.4 does. Values
// written by any Redis up to 7.4 can be read, except module values. Input is
// untrusted: a claimed length or count never allocates more than the input's
// length allows, including LZF's ratio. What Redis calls sanitizing is always
// done: the structure of every entry is checked, and sets must not contain
// duplicates.
package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"math/bits"

	"synod/protocol/register"
	"synod/proxy/datatype/stream"
	"synod/proxy/datatype/zset"
)

// The format's versions.
const (
	// Version is the version normally written, that of Redis 7.0.
	Version = 10
	// version72 is that of Redis 7.2.
	version72 = 11
	// MaxVersion is the latest version that can be read, that of Redis 7.4.
	// Hashes whose fields expire are written in it.
	MaxVersion = 12
)

const footer = 2 + 8 // version, checksum

// Value is a value of any type. Of the fields after Compact, only one is used,
// apart from Expiries.
type Value struct {
	Type register.Type
	// Compact selects the intset encoding for a set, and listpack for a hash or
	// sorted set. It is used only for writing.
	Compact bool
	Text    []byte   // of a String
	Items   [][]byte // of a List or Set; for a Hash, alternating fields and values
	// Expiries has the expiry of each field of a Hash, in Unix milliseconds, 0
	// for never; nil if no field expires.
	Expiries []int64
	Members  []zset.Member // of a SortedSet, sorted when it is written
	Stream   stream.Value  // of a Stream
}

// The first byte of a value: its type, and usually its encoding.
const (
	typeString           = 0
	typeList             = 1
	typeSet              = 2
	typeSortedSetText    = 3 // scores as text
	typeHash             = 4
	typeSortedSet        = 5
	typeModuleOld        = 6
	typeModule           = 7
	typeHashZipmap       = 9
	typeListZiplist      = 10
	typeSetInts          = 11
	typeSortedSetZiplist = 12
	typeHashZiplist      = 13
	typeListZiplists     = 14
	typeStream1          = 15
	typeHashListpack     = 16
	typeSortedSetList    = 17
	typeListListpacks    = 18
	typeStream2          = 19
	typeSetListpack      = 20
	typeStream3          = 21
	typeHashTimed        = 24 // 22 and 23 were these before Redis 7.4 was released
	typeHashTimedPacked  = 25
)

var (
	// ErrChecksum means that the payload is damaged or of a newer version.
	ErrChecksum = errors.New("rdb: version or checksum is wrong")
	// ErrFormat means that the payload is not a readable value.
	ErrFormat = errors.New("rdb: bad data format")
	// ErrModule is the ErrFormat of module values.
	ErrModule = fmt.Errorf("%w: a value of a module", ErrFormat)
)

// jones is the polynomial of Redis's CRC-64, in crc64's reflected form.
var jones = crc64.MakeTable(bits.Reverse64(0xad93d23594c935a9))

// Checksum updates the checksum sum, initially 0, with b.
func Checksum(sum uint64, b []byte) uint64 { return ^crc64.Update(^sum, jones, b) }

// Dump returns the DUMP reply for a value.
func Dump(v Value) []byte {
	value := appendValue(nil, v)
	return Seal(value, PayloadVersion(value))
}

// Seal makes a RESTORE payload from a value's type and its encoding in an RDB
// file of the version. It takes ownership of value.
func Seal(value []byte, version uint16) []byte {
	out := binary.LittleEndian.AppendUint16(value, version)
	return binary.LittleEndian.AppendUint64(out, Checksum(0, out))
}

// Verify checks a payload's version and checksum and returns the value in it.
func Verify(payload []byte) ([]byte, error) {
	if len(payload) < footer {
		return nil, fmt.Errorf("%w: %d bytes", ErrChecksum, len(payload))
	}
	value := payload[:len(payload)-footer]
	tail := payload[len(value):]
	if v := binary.LittleEndian.Uint16(tail); v > MaxVersion {
		return nil, fmt.Errorf("%w: version %d", ErrChecksum, v)
	}
	if binary.LittleEndian.Uint64(tail[2:]) != Checksum(0, payload[:len(value)+2]) {
		return nil, ErrChecksum
	}
	return value, nil
}

// Open returns the value in a payload of any version if its type is known, even
// if RESTORE would refuse the version as too new.
func Open(payload []byte) ([]byte, error) {
	if len(payload) <= footer {
		return nil, fmt.Errorf("%w: %d bytes", ErrChecksum, len(payload))
	}
	end := len(payload) - footer
	if binary.LittleEndian.Uint64(payload[end+2:]) != Checksum(0, payload[:end+2]) {
		return nil, ErrChecksum
	}
	if kind := payload[0]; kind > typeStream3 && kind != typeHashTimed && kind != typeHashTimedPacked {
		return nil, fmt.Errorf("%w: unknown type %d", ErrFormat, kind)
	}
	return payload[:end:end], nil
}

// PayloadVersion returns the lowest payload version that supports the value; at
// least Version.
func PayloadVersion(value []byte) uint16 {
	switch {
	case len(value) > 0 && value[0] > typeStream3:
		return MaxVersion
	case len(value) > 0 && value[0] > typeStream2:
		return version72
	}
	return Version
}

// Parse reads a value that Verify returned. The result may share the value's
// memory. Like Redis, it ignores trailing bytes.
func Parse(value []byte) (Value, error) {
	r := reader{rest: value, room: maxUnpacked}
	kind := r.uint(1)
	v := r.value(kind)
	if r.err != nil {
		if errors.Is(r.err, ErrFormat) {
			return Value{}, r.err
		}
		return Value{}, fmt.Errorf("%w: type %d: %w", ErrFormat, kind, r.err)
	}
	return v, nil
}

// appendValue writes a value after its type.
func appendValue(dst []byte, v Value) []byte {
	switch v.Type {
	case register.List:
		return appendList(append(dst, typeListListpacks), v.Items)
	case register.Set:
		if v.Compact {
			return appendString(append(dst, typeSetInts), appendInts(nil, v.Items))
		}
		return appendStrings(append(dst, typeSet), v.Items, 1)
	case register.Hash:
		if v.Expiries != nil {
			return appendTimed(append(dst, typeHashTimed), v.Items, v.Expiries)
		}
		if v.Compact {
			return appendString(append(dst, typeHashListpack), listpackOf(v.Items))
		}
		return appendStrings(append(dst, typeHash), v.Items, 2)
	case register.SortedSet:
		if v.Compact {
			return appendString(append(dst, typeSortedSetList), listpackOf(pairs(v.Members)))
		}
		return appendMembers(append(dst, typeSortedSet), v.Members)
	case register.Stream:
		return appendStream(append(dst, typeStream2), v.Stream)
	}
	return appendString(append(dst, typeString), v.Text)
}

// value reads a value of the kind.
func (r *reader) value(kind uint64) Value {
	switch kind {
	case typeString:
		return Value{Type: register.String, Text: r.string()}
	case typeList:
		return Value{Type: register.List, Items: r.filled(r.strings(1))}
	case typeListZiplist:
		return Value{Type: register.List, Items: r.filled(r.ziplist(r.string()))}
	case typeListZiplists, typeListListpacks:
		return Value{Type: register.List, Items: r.filled(r.quicklist(kind))}
	case typeSet:
		return r.set(r.strings(1))
	case typeSetInts:
		return r.set(r.ints(r.string()))
	case typeSetListpack:
		return r.set(r.listpack(r.string()))
	case typeHash:
		return r.hash(r.strings(2))
	case typeHashZipmap:
		return r.hash(r.zipmap(r.string()))
	case typeHashZiplist:
		return r.hash(r.ziplist(r.string()))
	case typeHashListpack:
		return r.hash(r.listpack(r.string()))
	case typeHashTimed:
		return r.timedHash()
	case typeHashTimedPacked:
		return r.timedListpack()
	case typeSortedSet, typeSortedSetText:
		return r.sortedSet(r.members(kind))
	case typeSortedSetZiplist:
		return r.sortedSet(r.scored(r.ziplist(r.string())))
	case typeSortedSetList:
		return r.sortedSet(r.scored(r.listpack(r.string())))
	case typeStream1, typeStream2, typeStream3:
		return Value{Type: register.Stream, Stream: r.stream(kind)}
	case typeModule, typeModuleOld:
		r.fail(ErrModule)
	default:
		r.fail(errors.New("unknown type"))
	}
	return Value{}
}

// maxUnpacked limits the total size in bytes of the decompressed strings of one
// value.
const maxUnpacked = 1 << 30
