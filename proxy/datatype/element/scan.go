package element

import (
	"bytes"
	"math"
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/glob"
	"synod/proxy/datatype/number"
)

// ScanRequest has the arguments of SCAN and similar commands.
type ScanRequest struct {
	Cursor uint64
	Match  []byte // nil: all
	Count  int
}

// scanCount is the default number of elements that a step looks at.
const scanCount = 10

var errCursor = resp.Err("ERR invalid cursor")

// ParseScanOptions reads the options MATCH and COUNT into r. It offers other
// options to other, which reports whether it knows them; other may be nil.
func (r *ScanRequest) ParseScanOptions(args [][]byte, other func(option, value []byte) bool) *resp.Value {
	r.Count = scanCount
	for ; len(args) > 0; args = args[2:] {
		switch {
		case len(args) == 1:
			return resp.ErrSyntax
		case datatype.Is(args[0], "COUNT"):
			n, ok := number.ParseInt(args[1])
			if !ok {
				return resp.ErrNotInteger
			}
			if n < 1 {
				return resp.ErrSyntax
			}
			r.Count = int(min(n, math.MaxInt32))
		case datatype.Is(args[0], "MATCH"):
			if r.Match = args[1]; string(r.Match) == "*" {
				r.Match = nil
			}
		case other == nil || !other(args[0], args[1]):
			return resp.ErrSyntax
		}
	}
	return nil
}

// ParseCursor reads a cursor like C's strtoul, as Redis does: an empty string
// is zero, a sign is allowed, a negative number wraps around, and a NUL ends
// the text.
func ParseCursor(b []byte) (uint64, *resp.Value) {
	b, _, _ = bytes.Cut(b, []byte{0})
	negative := len(b) > 0 && b[0] == '-'
	digits := b
	if negative || (len(b) > 0 && b[0] == '+') {
		digits = b[1:]
	}
	if len(b) == 0 {
		return 0, nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, errCursor
		}
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0, errCursor
	}
	if negative {
		n = -n
	}
	return n, nil
}

// Page is the reply of SCAN and similar commands.
func Page(next uint64, elems []resp.Value) *resp.Value {
	return resp.List(*resp.Text(strconv.FormatUint(next, 10)), *resp.List(elems...))
}

// scan is a walk over the members of a value.
type scan struct {
	datatype.Reads
	Kind
	request ScanRequest
	late    *resp.Value // error in the options, reported only after the type check
	show    func([]register.Element) []resp.Value
}

// ParseScan parses HSCAN, SSCAN or ZSCAN key cursor [MATCH pattern] [COUNT
// count] on values of a type. show converts the elements found for the reply.
func ParseScan(args [][]byte, typ register.Type, prefix string, show func([]register.Element) []resp.Value) (operation.Operation, *resp.Value) {
	return Kind{Type: typ, Prefix: prefix}.ParseScan(args, show)
}

// ParseScan is the function ParseScan for values of the kind.
func (k Kind) ParseScan(args [][]byte, show func([]register.Element) []resp.Value) (operation.Operation, *resp.Value) {
	o := &scan{Kind: k, show: show}
	var err *resp.Value
	if o.request.Cursor, err = ParseCursor(args[2]); err != nil {
		return nil, err
	}
	o.late = o.request.ParseScanOptions(args[3:], nil)
	return o, nil
}

func (o *scan) Needs() register.Projection {
	if o.late != nil || o.request.Cursor > maxHash {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{from(o.Prefix, o.request.Cursor, o.request.Count+1)}}
}

func (o *scan) Execute(v register.View, now int64) operation.Effect {
	switch v.Header.Type {
	case register.Absent:
		return datatype.Reply(Page(0, nil))
	case o.Type:
	default:
		return datatype.Reply(resp.ErrWrongType)
	}
	if o.late != nil {
		return datatype.Reply(o.late)
	}
	var found []register.Element
	var next uint64
	var need *register.Projection
	if v.Header.Encoding == 0 { // Redis ignores the cursor of a compact value and returns all of it
		found, need = everything(v, o.Prefix)
	} else {
		found, next, need = Scan(v, o.Prefix, o.request.Cursor, o.request.Count)
	}
	if need != nil {
		return operation.Effect{Need: need}
	}
	look := o.look(v.Header, now)
	found = o.request.matching(o.Prefix, Living(found, look.Live))
	return look.Effect(Page(next, o.show(found)))
}

// matching returns the elements whose members match the pattern.
func (r *ScanRequest) matching(prefix string, elems []register.Element) []register.Element {
	if r.Match == nil {
		return elems
	}
	var out []register.Element
	for _, e := range elems {
		if glob.Match(r.Match, Member(prefix, e.Key)) {
			out = append(out, e)
		}
	}
	return out
}

// Scan returns about count members starting at a cursor, and the next cursor,
// which is zero at the end. Every member that exists during a whole walk is
// returned, possibly twice. If the view lacks data, need says what is missing
// and the other results are invalid.
func Scan(v register.View, prefix string, cursor uint64, count int) (elems []register.Element, next uint64, need *register.Projection) {
	if cursor > maxHash {
		return nil, 0, nil
	}
	for limit := count + 1; ; limit *= 2 {
		r := from(prefix, cursor, limit)
		elems, ok := v.Range(r)
		if !ok {
			return nil, 0, &register.Projection{Ranges: []register.Range{r}}
		}
		if len(elems) < limit {
			return elems, 0, nil
		}
		// The last element starts the next page. If its hash equals that of the
		// first, the next page would start here again.
		next := hashOf(prefix, elems[len(elems)-1].Key)
		if next != hashOf(prefix, elems[0].Key) {
			return trimmed(prefix, elems, next), next, nil
		}
	}
}

// trimmed returns the elements before the first with a hash.
func trimmed(prefix string, elems []register.Element, hash uint64) []register.Element {
	for hashOf(prefix, elems[len(elems)-1].Key) == hash {
		elems = elems[:len(elems)-1]
	}
	return elems
}
