package geo

import (
	"cmp"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/zset"
)

// Radius parses GEORADIUS key longitude latitude radius unit [options].
func Radius(args [][]byte) (operation.Operation, *resp.Value) {
	return parse(parser{kind: radius, args: args, storable: true})
}

// RadiusRO parses GEORADIUS_RO, which lacks the store options.
func RadiusRO(args [][]byte) (operation.Operation, *resp.Value) {
	return parse(parser{kind: radius, args: args})
}

// RadiusByMember parses GEORADIUSBYMEMBER key member radius unit [options].
func RadiusByMember(args [][]byte) (operation.Operation, *resp.Value) {
	return parse(parser{kind: radiusByMember, args: args, storable: true})
}

// RadiusByMemberRO parses GEORADIUSBYMEMBER_RO, which lacks the store options.
func RadiusByMemberRO(args [][]byte) (operation.Operation, *resp.Value) {
	return parse(parser{kind: radiusByMember, args: args})
}

// Search parses GEOSEARCH key FROMMEMBER member|FROMLONLAT longitude latitude
// BYRADIUS radius unit|BYBOX width height unit [options].
func Search(args [][]byte) (operation.Operation, *resp.Value) {
	return parse(parser{kind: search, args: args})
}

// searching is the operation of a search command.
type searching struct {
	datatype.Reads
	parser  parser
	members [][]byte         // whose positions are needed
	ranges  []register.Range // to search, if they do not depend on members
}

func parse(p parser) (operation.Operation, *resp.Value) {
	o := &searching{parser: p}
	q, err := o.query(true, func(member []byte) (point, bool) {
		o.members = append(o.members, member)
		return point{}, true
	})
	if err == nil && len(o.members) == 0 {
		o.ranges = q.ranges()
	}
	return o, nil
}

// query parses the arguments, given the stored data. Errors in them are
// reported only after the type check.
func (o *searching) query(there bool, locate func([]byte) (point, bool)) (*query, *resp.Value) {
	p := o.parser
	p.there, p.locate = there, locate
	return p.parse()
}

func (o *searching) Needs() register.Projection {
	return register.Projection{Keys: zset.Keys(o.members), Ranges: o.ranges}
}

func (o *searching) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.SortedSet); err != nil {
		return datatype.Reply(err)
	}
	q, err := o.query(v.Header.Exists(), func(member []byte) (point, bool) {
		score, ok := zset.ScoreIn(v, member)
		return pointOf(score), ok
	})
	switch {
	case err != nil:
		return datatype.Reply(err)
	case !v.Header.Exists():
		return datatype.Reply(resp.List())
	}
	found, need := q.find(v)
	if need != nil {
		return operation.Effect{Need: need}
	}
	return datatype.Reply(q.reply(found))
}

// place is a member that was found.
type place struct {
	zset.Member
	point
	metres float64
}

// ranges returns the ranges of the cells to search in a sorted set. If ANY is
// set, only the first part of each is read at first.
func (q *query) ranges() []register.Range {
	cells := q.cells()
	ranges := make([]register.Range, len(cells))
	for i, c := range cells {
		ranges[i] = zset.Scores(c.ends())
		if q.any {
			ranges[i].Limit = int(min(max(fewest, 2*q.count), most))
		}
	}
	return ranges
}

// Limits for the members per cell that are read first if ANY is set.
const (
	fewest = 64
	most   = 1 << 20
)

// find returns the places in the shape, in the order in which Redis finds them.
func (q *query) find(v register.View) ([]place, *register.Projection) {
	ranges := q.ranges()
	if all := (register.Projection{Ranges: ranges}); !v.Covers(all) {
		return nil, &all
	}
	var found []place
	for _, r := range ranges {
		before := len(found)
		for more := true; more; r.Limit *= 4 {
			if q.any && int64(len(found)) >= q.count {
				return found, nil
			}
			elems, known := v.Range(r)
			if !known {
				return nil, &register.Projection{Ranges: []register.Range{r}}
			}
			found = q.collect(found[:before], elems)
			more = r.Limit > 0 && len(elems) == r.Limit
		}
	}
	return found, nil
}

// collect adds the elements in the shape until there are enough.
func (q *query) collect(found []place, elems []register.Element) []place {
	for _, e := range elems {
		if q.any && int64(len(found)) >= q.count {
			break
		}
		m := zset.Ranking(e)
		p := pointOf(m.Score)
		if metres, inside := q.holds(p); inside {
			found = append(found, place{Member: m, point: p, metres: metres})
		}
	}
	return found
}

// reply lists the places found.
func (q *query) reply(found []place) *resp.Value {
	order := q.order
	if order == unordered && q.count > 0 && !q.any {
		order = ascending // as the nearest are asked for
	}
	if order != unordered {
		slices.SortStableFunc(found, func(a, b place) int {
			if order == descending {
				a, b = b, a
			}
			return cmp.Compare(a.metres, b.metres)
		})
	}
	if q.count > 0 {
		found = found[:min(q.count, int64(len(found)))]
	}
	elems := make([]resp.Value, len(found))
	for i := range found {
		elems[i] = *q.describe(&found[i])
	}
	return resp.List(elems...)
}

// describe returns a place's entry in the reply.
func (q *query) describe(p *place) *resp.Value {
	name := resp.Bytes(p.Name)
	if !q.withDist && !q.withHash && !q.withCoord {
		return name
	}
	parts := []resp.Value{*name}
	if q.withDist {
		parts = append(parts, *distanceReply(p.metres / q.unit))
	}
	if q.withHash {
		parts = append(parts, *resp.Int(int64(signed(p.Score))))
	}
	if q.withCoord {
		parts = append(parts, *p.point.reply())
	}
	return resp.List(parts...)
}
