package str

import (
	"synod/protocol/register"
	"synod/proxy/datatype/number"
)

// maxInt is the size in bytes of the longest string that Redis stores as an
// integer; maxEmbedded of the longest that it embeds in its object.
const (
	maxInt      = 20
	maxEmbedded = 44
)

// EncodingNeeds is the projection that Encoding reads.
func EncodingNeeds() register.Projection { return first }

// Encoding returns how Redis would store the string, as shown by OBJECT
// ENCODING.
func Encoding(v register.View) string {
	h := v.Header
	switch {
	case h.Encoding == encodingRaw || h.Size > maxEmbedded:
		return "raw"
	case h.Encoding == encodingAuto && h.Size <= maxInt:
		if _, ok := number.ParseInt(content(v)); ok {
			return "int"
		}
	}
	return "embstr"
}

// Content returns the whole string. The view must cover all of it.
func Content(v register.View) []byte { return content(v) }

// New returns the header and the ops that store a whole string.
func New(value []byte) (register.Header, []register.Op) {
	return register.Header{Type: register.String, Size: uint64(len(value))}, whole(value)
}
