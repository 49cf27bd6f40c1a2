package element

import (
	"math"
	"math/rand/v2"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// near is how many members after a random place one member is drawn from. A
// larger number is fairer, because the gaps between hashes differ.
const near = 16

// Seed returns a seed for Draw and Distinct. Take it once, when a command is
// parsed, so that every run of the command draws the same members.
func Seed() uint64 { return rand.Uint64() }

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// draw is a random place and which member to take there.
type draw struct {
	hash uint64
	pick uint64
}

func next(rng *rand.Rand) draw { return draw{hash: rng.Uint64N(maxHash + 1), pick: rng.Uint64()} }

// few is how many draws Places predicts.
const few = 4

// Places returns what Draw or Distinct will probably read for n members of a
// large value, if n is small, so that an operation can ask for it at once.
func Places(prefix string, seed uint64, n int) (p register.Projection) {
	if n > few {
		return p
	}
	rng := random(seed)
	for range n {
		p.Ranges = append(p.Ranges, from(prefix, next(rng).hash, near))
	}
	return p
}

// urn holds the live members of a view, from which members are drawn.
type urn struct {
	register.View
	prefix string
	live   func(register.Element) bool
}

// at returns the members next to a place, or farther away if the nearest have
// all expired. It adds what is missing to need.
func (u urn) at(hash uint64, need *register.Projection) []register.Element {
	for n := near; ; n *= near {
		elems, known := u.around(hash, n, need)
		if !known {
			return nil
		}
		if found := Living(elems, u.live); len(found) > 0 || len(elems) < n {
			return found
		}
	}
}

// around returns the n members next to a place. The order wraps around at the
// end.
func (u urn) around(hash uint64, n int, need *register.Projection) (elems []register.Element, known bool) {
	r := from(u.prefix, hash, n)
	elems, known = u.Range(r)
	if !known {
		need.Ranges = append(need.Ranges, r)
		return nil, false
	}
	if len(elems) == n {
		return elems, true
	}
	wrapped := register.Range{From: spanOf(u.prefix).From, To: r.From, Limit: n - len(elems)}
	more, known := u.Range(wrapped)
	if !known {
		need.Ranges = append(need.Ranges, wrapped)
		return nil, false
	}
	return append(slices.Clone(elems), more...), true
}

// Draw returns n members out of size, each drawn independently, or none if
// there are none. Equal seeds draw the same members. If the view lacks data,
// need says what is missing and the other results are invalid.
func Draw(v register.View, prefix string, size uint64, seed uint64, n int) (elems []register.Element, need *register.Projection) {
	return urn{v, prefix, everybody{}.Live}.draw(size, seed, n)
}

func (u urn) draw(size, seed uint64, n int) (elems []register.Element, need *register.Projection) {
	if size == 0 || n <= 0 {
		return nil, nil
	}
	rng := random(seed)
	if uint64(n) >= size/near {
		all, need := u.everything()
		if need != nil || len(all) == 0 {
			return nil, need
		}
		elems = make([]register.Element, n)
		for i := range elems {
			elems[i] = all[rng.IntN(len(all))]
		}
		return elems, nil
	}
	missing := new(register.Projection)
	for range n {
		d := next(rng)
		if found := u.at(d.hash, missing); len(found) > 0 {
			elems = append(elems, found[d.pick%uint64(len(found))])
		}
	}
	if len(missing.Ranges) > 0 {
		return nil, missing
	}
	return elems, nil
}

func (u urn) everything() ([]register.Element, *register.Projection) {
	elems, need := everything(u.View, u.prefix)
	return Living(elems, u.live), need
}

func everything(v register.View, prefix string) ([]register.Element, *register.Projection) {
	s := spanOf(prefix)
	r := register.Range{From: s.From, To: s.To}
	elems, ok := v.Range(r)
	if !ok {
		return nil, &register.Projection{Ranges: []register.Range{r}}
	}
	return elems, nil
}

// Distinct returns n different members out of size, or all if there are no
// more. Otherwise it works like Draw.
func Distinct(v register.View, prefix string, size uint64, seed uint64, n int) (elems []register.Element, need *register.Projection) {
	return urn{v, prefix, everybody{}.Live}.distinct(size, seed, n)
}

func (u urn) distinct(size, seed uint64, n int) (elems []register.Element, need *register.Projection) {
	if size == 0 || n <= 0 {
		return nil, nil
	}
	// A client may have chosen members whose hashes are so close that all draws
	// find the same few.
	patience := 4*n + near
	if uint64(n) < size/near {
		for draws := n + n/8; draws < patience; draws = 2*draws + 1 {
			some, need := u.draw(size, seed, draws)
			if need != nil {
				return nil, need
			}
			if elems = different(some, n); len(elems) == n {
				return elems, nil
			}
		}
	}
	all, need := u.everything()
	if need != nil || n >= len(all) {
		return all, need
	}
	all = slices.Clone(all)
	random(seed).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:n], nil
}

// different returns the first n distinct elements.
func different(elems []register.Element, n int) []register.Element {
	taken := make(map[string]struct{}, n)
	out := make([]register.Element, 0, n)
	for _, e := range elems {
		if _, twice := taken[string(e.Key)]; !twice && len(out) < n {
			taken[string(e.Key)] = struct{}{}
			out = append(out, e)
		}
	}
	return out
}

// Limits for draws with repetition: the number of members and of bytes.
const (
	maxDraws      = 1 << 20
	maxDrawsBytes = 256 << 20
)

var (
	errCount  = resp.Err("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
	errTooBig = resp.Err("ERR value is out of range")
)

// sample draws members at random.
type sample struct {
	datatype.Reads
	Kind
	seed     uint64
	n        int
	distinct bool
	none     *resp.Value // the reply if there are none
	show     func([]register.Element) *resp.Value
}

// ParseOne parses a command that replies with one random member. show gets the
// member, or nil if there is no value.
func ParseOne(typ register.Type, prefix string, show func([]register.Element) *resp.Value) (operation.Operation, *resp.Value) {
	return Kind{Type: typ, Prefix: prefix}.ParseOne(show)
}

// ParseOne is the function ParseOne for values of the kind.
func (k Kind) ParseOne(show func([]register.Element) *resp.Value) (operation.Operation, *resp.Value) {
	return &sample{Kind: k, seed: Seed(), n: 1, none: resp.Nil, show: show}, nil
}

// ParseCount reads how many members to draw: a positive number of distinct
// ones, or a negative number if members may repeat.
func ParseCount(arg []byte) (int64, *resp.Value) {
	n, ok := number.ParseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case n == math.MinInt64:
		return 0, errCount
	}
	return n, nil
}

// ParseSample parses a command that replies with count random members. parts is
// how many values show returns for each.
func ParseSample(typ register.Type, prefix string, count, parts int64, show func([]register.Element) *resp.Value) (operation.Operation, *resp.Value) {
	return Kind{Type: typ, Prefix: prefix}.ParseSample(count, parts, show)
}

// ParseSample is the function ParseSample for values of the kind.
func (k Kind) ParseSample(count, parts int64, show func([]register.Element) *resp.Value) (operation.Operation, *resp.Value) {
	if count > math.MaxInt64/parts || count < -math.MaxInt64/parts {
		return nil, errTooBig
	}
	o := &sample{Kind: k, seed: Seed(), distinct: count >= 0, none: resp.List(), show: show}
	if !o.distinct {
		count = -count
	}
	o.n = int(min(count, math.MaxInt32))
	return o, nil
}

func (o *sample) Needs() register.Projection { return Places(o.Prefix, o.seed, o.n) }

func (o *sample) Execute(v register.View, now int64) operation.Effect {
	if err := Check(v.Header, o.Type); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() {
		return datatype.Reply(o.none)
	}
	look := o.look(v.Header, now)
	u := urn{v, o.Prefix, look.Live}
	draw := u.distinct
	if !o.distinct {
		if draw = u.draw; o.n > maxDraws {
			return datatype.Reply(errTooBig)
		}
	}
	elems, need := draw(v.Header.Size, o.seed, o.n)
	if need != nil {
		return operation.Effect{Need: need}
	}
	if len(elems) == 0 {
		return look.Effect(o.none)
	}
	if bytes := 0; !o.distinct && o.n > 1 {
		for _, e := range elems {
			if bytes += len(e.Key) + len(e.Value); bytes > maxDrawsBytes {
				return datatype.Reply(errTooBig)
			}
		}
	}
	return look.Effect(o.show(elems))
}
