package entry

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// strategy says how to select the entries to trim.
type strategy uint8

const (
	trimNothing strategy = iota
	trimByLength
	trimByID
)

// trimming removes entries from the front of a stream.
type trimming struct {
	by     strategy
	near   bool   // "~": whole nodes only
	most   uint64 // entries to remove; 0: no limit
	length uint64 // MAXLEN: entries to keep
	id     ID     // MINID: the first entry to keep
}

// defaultMost is Redis's limit for trimming with ~: a hundred nodes.
const defaultMost = 100 * nodeEntries

var (
	errTwoStrategies = resp.Err("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
	errMaxLen        = resp.Err("ERR The MAXLEN argument must be >= 0.")
	errLimit         = resp.Err("ERR The LIMIT argument must be >= 0.")
	errLimitAlone    = resp.Err("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
	errLimitExact    = resp.Err("ERR syntax error, LIMIT cannot be used without the special ~ option")
	errNoStrategy    = resp.Err("ERR syntax error, XTRIM must be called with a trimming strategy")
)

// trimOptions are the parsed options of XADD and XTRIM.
type trimOptions struct {
	trimming
	limited bool // LIMIT was given
}

// parse parses an option at the start of args and returns the number of
// arguments used, or zero if it is not a trim option.
func (o *trimOptions) parse(args [][]byte) (int, *resp.Value) {
	switch {
	case len(args) < 2:
	case datatype.Is(args[0], "MAXLEN"):
		return o.parseStrategy(trimByLength, args)
	case datatype.Is(args[0], "MINID"):
		return o.parseStrategy(trimByID, args)
	case datatype.Is(args[0], "LIMIT"):
		n, ok := number.ParseInt(args[1])
		if !ok {
			return 0, resp.ErrNotInteger
		}
		if n < 0 {
			return 0, errLimit
		}
		o.most, o.limited = uint64(n), true
		return 2, nil
	}
	return 0, nil
}

func (o *trimOptions) parseStrategy(by strategy, args [][]byte) (int, *resp.Value) {
	if o.by != trimNothing {
		return 0, errTwoStrategies
	}
	o.by = by
	n := 1
	if len(args) > 2 && (datatype.Is(args[1], "~") || datatype.Is(args[1], "=")) {
		o.near = args[1][0] == '~'
		n = 2
	}
	var err *resp.Value
	switch by {
	case trimByID:
		o.id, err = ParseID(args[n], 0)
	default:
		length, ok := number.ParseInt(args[n])
		switch {
		case !ok:
			err = resp.ErrNotInteger
		case length < 0:
			err = errMaxLen
		}
		o.length = uint64(length)
	}
	return n + 1, err
}

// finish checks the combination of options.
func (o *trimOptions) finish(mustTrim bool) *resp.Value {
	switch {
	case o.most > 0 && o.by == trimNothing:
		return errLimitAlone
	case mustTrim && o.by == trimNothing:
		return errNoStrategy
	case o.limited && !o.near:
		return errLimitExact
	case o.near && !o.limited:
		o.most = defaultMost
	}
	return nil
}

// needs returns what trimming reads if there is little to trim: the first node
// and, unless only whole nodes are trimmed, the first entries. A stream at its
// maximum length loses an entry with each XADD; more is the number of later
// XADDs to provide for.
func (t *trimming) needs(more int) register.Projection {
	if t.by == trimNothing {
		return register.Projection{}
	}
	p := register.Projection{Ranges: []register.Range{FirstOf(NodePrefix, 1+(more+nodeEntries-1)/nodeEntries)}}
	if !t.near {
		p.Ranges = append(p.Ranges, FirstOf(Prefix, 2+more))
	}
	return p
}

// FirstOf returns the range of the first n elements with a prefix.
func FirstOf(prefix []byte, n int) register.Range {
	r := Prefixed(prefix)
	r.Limit = n
	return r
}

// front is the front of a stream while it is trimmed.
type front struct {
	v register.View
	*Meta
	// closed is the last node before the tail, and fresh the key of the last
	// entry, if they are not stored yet; otherwise nil.
	closed *Node
	fresh  []byte

	ops  []register.Op
	need register.Projection
}

// stored returns how many nodes are elements in the view.
func (f *front) stored() uint64 {
	n := f.Nodes
	if n > 0 {
		n--
	}
	if f.closed != nil {
		n--
	}
	return n
}

// plan says how far to trim: some whole nodes, and possibly part of the next
// one.
type plan struct {
	nodes uint64 // whole ones
	count uint64 // entries in them
	part  *Node
	most  uint64 // maximum number of entries to remove from part
}

// plan decides how far to trim. It adds missing nodes to f.need.
func (t *trimming) plan(f *front) (p plan) {
	stored := f.stored()
	var rows []register.Element
	left := f.Length
	for ; p.nodes < f.Nodes; p.nodes++ {
		if t.by == trimByLength && left <= t.length {
			return p
		}
		if p.nodes < stored && p.nodes == uint64(len(rows)) {
			// Enough if the nodes are full, and at least twice as many as
			// before.
			guess := uint64(1)
			if t.by == trimByLength {
				guess += (left - t.length) / nodeEntries
			}
			want := min(max(p.nodes+guess, 2*p.nodes), stored)
			if rows = List(f.v, FirstOf(NodePrefix, Limit(int64(want))), &f.need); uint64(len(rows)) <= p.nodes {
				return p
			}
		}
		n := f.node(p.nodes, stored, rows)
		if t.most > 0 && p.count+n.live > t.most {
			return p
		}
		if !t.takes(n, left) {
			if !t.near {
				p.part, p.most = n, n.live
				if t.by == trimByLength {
					p.most = left - t.length
				}
			}
			return p
		}
		p.count += n.live
		left -= n.live
	}
	return p
}

// node returns the i-th node.
func (f *front) node(i, stored uint64, rows []register.Element) *Node {
	switch {
	case i < stored:
		n := nodeOf(rows[i])
		return &n
	case i == stored && f.closed != nil:
		return f.closed
	}
	return &f.Tail
}

// takes reports whether the whole node is trimmed; left is the number of
// entries from this node on.
func (t *trimming) takes(n *Node, left uint64) bool {
	if t.by == trimByID {
		return n.last.Less(t.id)
	}
	return left-n.live >= t.length
}

// trim removes entries and returns their number. If f.need is not empty
// afterwards, the result is invalid.
func (t *trimming) trim(f *front) uint64 {
	if t.by == trimNothing {
		return 0
	}
	p := t.plan(f)
	if Lacking(&f.need) || (p.nodes == 0 && p.part == nil) {
		return 0
	}
	elems := List(f.v, FirstOf(Prefix, Limit(int64(min(p.count+p.most, math.MaxInt32-1))+1)), &f.need)
	if Lacking(&f.need) {
		return 0
	}
	if t.by == trimByID && p.part != nil {
		for p.most = 0; p.count+p.most < uint64(len(elems)) && IDAtEnd(elems[p.count+p.most].Key).Less(t.id); {
			p.most++
		}
	}
	f.apply(&p, elems)
	return p.count + p.most
}

// apply carries out the plan. elems are the entries to remove, except the fresh
// one, and the entry after them.
func (f *front) apply(p *plan, elems []register.Element) {
	stored := f.stored()
	if gone := min(p.nodes, stored); gone > 0 {
		for _, row := range List(f.v, FirstOf(NodePrefix, Limit(int64(gone))), &f.need) {
			f.ops = append(f.ops, Remove(row.Key))
		}
	}
	if p.part != nil && p.most > 0 {
		p.part.live -= p.most
		if p.nodes < stored {
			f.ops = append(f.ops, p.part.Op())
		}
	}
	if p.nodes > stored {
		f.closed = nil
	}
	all := p.nodes == f.Nodes
	if f.Nodes -= p.nodes; all {
		f.Tail = Node{}
	}
	count := p.count + p.most
	f.Length -= count
	last := f.fresh
	if all && f.fresh != nil {
		count--
		f.fresh = nil
	}
	for _, e := range elems[:min(count, uint64(len(elems)))] {
		f.ops = append(f.ops, Remove(e.Key))
	}
	switch {
	case f.Length == 0:
		f.First = ID{}
	case count < uint64(len(elems)):
		f.First = IDAtEnd(elems[count].Key)
	default:
		f.First = IDAtEnd(last)
	}
}

type trim struct {
	datatype.Writes
	trimming
}

// Trim parses XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count].
func Trim(args [][]byte) (operation.Operation, *resp.Value) {
	var o trimOptions
	for args = args[2:]; len(args) > 0; {
		n, err := o.parse(args)
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			return nil, resp.ErrSyntax
		}
		args = args[n:]
	}
	if err := o.finish(true); err != nil {
		return nil, err
	}
	return &trim{trimming: o.trimming}, nil
}

func (o *trim) Needs() register.Projection { return o.needs(0) }

func (o *trim) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() {
		return datatype.Reply(resp.Int(0))
	}
	m := MetaOf(v.Header)
	f := front{v: v, Meta: &m}
	n := o.trim(&f)
	switch {
	case Lacking(&f.need):
		return datatype.Need(f.need)
	case len(f.ops) == 0 && n == 0 && m.Nodes == MetaOf(v.Header).Nodes:
		return datatype.Reply(resp.Int(0))
	}
	return Changes(v.Header, m.Header(v.Header), f.ops, resp.Int(int64(n)))
}
