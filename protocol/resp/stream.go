package resp

const (
	// streamBytes is about how much Stream encodes until the sink gets it.
	streamBytes = 1 << 20
	// wholeBytes is the length from which it does not copy a string.
	wholeBytes = 64 << 10
)

// Sink takes an encoding bit by bit.
type Sink interface {
	// Put takes what has been encoded, which it must not keep, and then bytes that
	// stay as they are, if not nil. It returns what to append to next.
	Put(encoded, whole []byte) (next []byte, err error)
}

// Stream is AppendTo for a value of any size: what is encoded goes to the sink bit
// by bit, and long strings as they stand. It returns what is left.
func (v *Value) Stream(dst []byte, version int, sink Sink) ([]byte, error) {
	switch v.Kind {
	case Bulk:
		if len(v.Str) < wholeBytes {
			return appendBlob(dst, '$', v.Str), nil
		}
		dst, err := sink.Put(appendNumber(dst, '$', int64(len(v.Str))), v.Str)
		return append(dst, '\r', '\n'), err
	case Chunks:
		var err error
		dst = appendNumber(dst, '$', v.Int)
		for i := 0; i < len(v.Elems) && err == nil; i++ {
			dst, err = sink.Put(dst, v.Elems[i].Str)
		}
		return append(dst, '\r', '\n'), err
	case Array, Set, Push, Map, Pairs, Table:
		return v.streamAggregate(dst, version, sink)
	}
	return v.AppendTo(dst, version), nil
}

func (v *Value) streamAggregate(dst []byte, version int, sink Sink) (_ []byte, err error) {
	dst, paired := v.appendHead(dst, version)
	for i := range v.Elems {
		if paired && i%2 == 0 {
			dst = appendNumber(dst, '*', 2)
		}
		if dst, err = v.Elems[i].Stream(dst, version, sink); err != nil {
			return dst, err
		}
		if len(dst) >= streamBytes {
			if dst, err = sink.Put(dst, nil); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}
