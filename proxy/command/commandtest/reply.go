package commandtest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// Server answers requests with the bytes of its replies.
type Server interface {
	Send(args ...[]byte) ([]byte, error)
}

// reply is a parsed reply.
type reply struct {
	Kind  byte
	Text  []byte // what stands in the line, or the bulk string
	Null  bool
	Elems []reply // of a map, keys and values in turn
	raw   []byte
}

// ask sends a request and parses the reply.
func ask(s Server, words ...string) (reply, error) { return send(s, Words(words...)) }

func send(s Server, args [][]byte) (reply, error) {
	b, err := s.Send(args...)
	if err != nil {
		return reply{}, err
	}
	return parse(b), nil
}

// parse returns a reply, which must be whole.
func parse(b []byte) reply {
	r, _ := parseNext(b)
	return r
}

func parseNext(b []byte) (r reply, rest []byte) {
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	if len(line) == 0 {
		return reply{}, nil
	}
	r = reply{Kind: line[0], Text: line[1:]}
	n, _ := strconv.Atoi(string(r.Text))
	switch r.Kind {
	case '$', '=':
		if r.Null = n < 0; !r.Null {
			r.Text, rest = rest[:n], rest[n+2:]
		}
	case '*', '~', '>', '%':
		r.Null = n < 0
		if r.Kind == '%' {
			n *= 2
		}
		for range max(n, 0) {
			var elem reply
			elem, rest = parseNext(rest)
			r.Elems = append(r.Elems, elem)
		}
	case '_':
		r.Null = true
	}
	r.raw = b[:len(b)-len(rest)]
	return r, rest
}

// equal compares replies byte for byte.
func (r reply) equal(s reply) bool { return bytes.Equal(r.raw, s.raw) }

// words returns all the texts within a reply.
func (r reply) words() [][]byte {
	if r.Elems == nil && (r.Kind == '*' || r.Kind == '~' || r.Kind == '%' || r.Null) {
		return nil
	}
	if r.Elems == nil {
		return [][]byte{r.Text}
	}
	var out [][]byte
	for _, e := range r.Elems {
		out = append(out, e.words()...)
	}
	return out
}

// sorted returns the raw elements of a reply in groups of n, in order.
func (r reply) sorted(n int) [][]byte {
	var out [][]byte
	for group := range slices.Chunk(r.Elems, n) {
		var raw []byte
		for _, e := range group {
			raw = append(raw, e.raw...)
		}
		out = append(out, raw)
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

// sameElements compares two replies but for the order of their elements, which
// come in groups of n.
func sameElements(want, have reply, n int) string {
	if want.Kind != have.Kind || want.Null != have.Null || len(want.Elems) != len(have.Elems) {
		return fmt.Sprintf("%d elements and %d", len(want.Elems), len(have.Elems))
	}
	if !slices.EqualFunc(want.sorted(n), have.sorted(n), bytes.Equal) {
		return "they differ, not only in order"
	}
	return ""
}

// canonical sorts all that is within a reply.
func (r reply) canonical() []byte {
	if r.Elems == nil {
		return r.raw
	}
	elems := make([][]byte, 0, len(r.Elems))
	for i := 0; i < len(r.Elems); i++ {
		elem := slices.Clone(r.Elems[i].canonical())
		if r.Kind == '%' { // a key and its value
			i++
			elem = append(elem, r.Elems[i].canonical()...)
		}
		elems = append(elems, elem)
	}
	slices.SortFunc(elems, bytes.Compare)
	return append(fmt.Appendf(nil, "%c%d\r\n", r.Kind, len(elems)), bytes.Join(elems, nil)...)
}
