package geo

import (
	"math"
	"strconv"

	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var (
	errUnit       = resp.Err("ERR unsupported unit provided. please use M, KM, FT, MI")
	errRadius     = resp.Err("ERR need numeric radius")
	errNoRadius   = resp.Err("ERR radius cannot be negative")
	errWidth      = resp.Err("ERR need numeric width")
	errHeight     = resp.Err("ERR need numeric height")
	errNoBox      = resp.Err("ERR height or width cannot be negative")
	errNoMember   = resp.Err("ERR could not decode requested zset member")
	errCount      = resp.Err("ERR COUNT must be > 0")
	errAny        = resp.Err("ERR the ANY argument requires COUNT argument")
	errStoreWith  = resp.Err("ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
	errStore      = resp.Err("ERR STORE and STOREDIST need a transaction, which this version does not have")
	errFromWhere  = "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for "
	errWhichShape = "ERR exactly one of BYRADIUS and BYBOX can be specified for "
)

// unit returns the length of a unit in metres.
func unit(arg []byte) (float64, *resp.Value) {
	for _, u := range []struct {
		name   string
		metres float64
	}{{"M", 1}, {"KM", 1000}, {"FT", 0.3048}, {"MI", 1609.34}} {
		if datatype.Is(arg, u.name) {
			return u.metres, nil
		}
	}
	return 0, errUnit
}

// parsePoint reads a longitude and a latitude.
func parsePoint(args [][]byte) (point, *resp.Value) {
	lon, ok := number.ParseDouble(args[0])
	lat, too := number.ParseDouble(args[1])
	switch {
	case !ok || !too:
		return point{}, resp.ErrNotFloat
	case math.Abs(lon) > maxLon || math.Abs(lat) > maxLat:
		return point{}, resp.Err("ERR invalid longitude,latitude pair " + sixDigits(lon) + "," + sixDigits(lat))
	}
	return point{lon: lon, lat: lat}, nil
}

// sixDigits is C's %f.
func sixDigits(f float64) string {
	if math.IsInf(f, 0) {
		return string(resp.AppendDouble(nil, f))
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// kind is one of the search commands.
type kind uint8

const (
	radius kind = iota
	radiusByMember
	search
)

// query has the arguments of a search command.
type query struct {
	shape
	withDist, withHash, withCoord bool
	order                         order
	count                         int64 // zero: all
	any                           bool  // any count places, not the nearest
}

// order is the order of the reply.
type order uint8

const (
	unordered order = iota
	ascending
	descending
)

// parser parses the arguments of a search command. Redis looks up members while
// parsing, so the reported error depends on the stored data.
type parser struct {
	kind     kind
	storable bool
	args     [][]byte
	// there reports whether the key exists; locate returns a member's position.
	there  bool
	locate func(member []byte) (point, bool)

	query               query
	fromMember, fromLon bool
	byRadius, byBox     bool
	store               bool
	next                int // index of the next argument
}

// parse parses the whole query.
func (p *parser) parse() (*query, *resp.Value) {
	if err := p.fixed(); err != nil {
		return nil, err
	}
	for p.next < len(p.args) {
		if err := p.option(); err != nil {
			return nil, err
		}
	}
	return &p.query, p.conflict()
}

// fixed parses the arguments before the options.
func (p *parser) fixed() *resp.Value {
	switch p.kind {
	case radius:
		p.next = 6
		if err := p.center(2); err != nil {
			return err
		}
		return p.circle(4)
	case radiusByMember:
		if p.next = 5; !p.there {
			return nil
		}
		if err := p.member(2); err != nil {
			return err
		}
		return p.circle(3)
	}
	p.next = 2
	return nil
}

// center, member, circle and rectangle parse arguments starting at an index.

func (p *parser) center(at int) (err *resp.Value) {
	p.query.center, err = parsePoint(p.args[at:])
	return err
}

func (p *parser) member(at int) *resp.Value {
	if !p.there {
		return nil
	}
	var ok bool
	if p.query.center, ok = p.locate(p.args[at]); !ok {
		return errNoMember
	}
	return nil
}

func (p *parser) circle(at int) (err *resp.Value) {
	r, ok := number.ParseDouble(p.args[at])
	switch {
	case !ok:
		return errRadius
	case r < 0:
		return errNoRadius
	}
	p.query.box, p.query.radius = false, r
	p.query.unit, err = unit(p.args[at+1])
	return err
}

func (p *parser) rectangle(at int) (err *resp.Value) {
	width, ok := number.ParseDouble(p.args[at])
	if !ok {
		return errWidth
	}
	height, ok := number.ParseDouble(p.args[at+1])
	switch {
	case !ok:
		return errHeight
	case height < 0 || width < 0:
		return errNoBox
	}
	p.query.box, p.query.width, p.query.height = true, width, height
	p.query.unit, err = unit(p.args[at+2])
	return err
}

// option parses one option.
func (p *parser) option() *resp.Value {
	arg, more := p.args[p.next], len(p.args)-p.next-1
	p.next++
	switch {
	case datatype.Is(arg, "WITHDIST"):
		p.query.withDist = true
	case datatype.Is(arg, "WITHHASH"):
		p.query.withHash = true
	case datatype.Is(arg, "WITHCOORD"):
		p.query.withCoord = true
	case datatype.Is(arg, "ANY"):
		p.query.any = true
	case datatype.Is(arg, "ASC"):
		p.query.order = ascending
	case datatype.Is(arg, "DESC"):
		p.query.order = descending
	case datatype.Is(arg, "COUNT") && more > 0:
		n, ok := number.ParseInt(p.args[p.next])
		switch {
		case !ok:
			return resp.ErrNotInteger
		case n <= 0:
			return errCount
		}
		p.query.count = n
		p.next++
	case p.storable && more > 0 && (datatype.Is(arg, "STORE") || datatype.Is(arg, "STOREDIST")):
		p.store = true
		p.next++
	case p.kind == search:
		return p.where(arg, more)
	default:
		return resp.ErrSyntax
	}
	return nil
}

// where parses an option of GEOSEARCH that defines the area.
func (p *parser) where(arg []byte, more int) *resp.Value {
	at := p.next
	switch {
	case datatype.Is(arg, "FROMMEMBER") && more > 0 && !p.fromLon:
		p.fromMember, p.next = true, at+1
		return p.member(at)
	case datatype.Is(arg, "FROMLONLAT") && more > 1 && !p.fromMember:
		p.fromLon, p.next = true, at+2
		return p.center(at)
	case datatype.Is(arg, "BYRADIUS") && more > 1 && !p.byBox:
		p.byRadius, p.next = true, at+2
		return p.circle(at)
	case datatype.Is(arg, "BYBOX") && more > 2 && !p.byRadius:
		p.byBox, p.next = true, at+3
		return p.rectangle(at)
	}
	return resp.ErrSyntax
}

// conflict returns the error for options that do not fit together.
func (p *parser) conflict() *resp.Value {
	q := &p.query
	switch {
	case p.store && (q.withDist || q.withHash || q.withCoord):
		return errStoreWith
	case p.kind == search && !p.fromMember && !p.fromLon:
		return p.wants(errFromWhere)
	case p.kind == search && !p.byRadius && !p.byBox:
		return p.wants(errWhichShape)
	case q.any && q.count == 0:
		return errAny
	case p.store:
		return errStore
	}
	return nil
}

func (p *parser) wants(text string) *resp.Value { return resp.Err(text + string(p.args[0])) }
