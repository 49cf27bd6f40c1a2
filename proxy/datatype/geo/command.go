package geo

import (
	"bytes"
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/zset"
)

// Add parses GEOADD key [NX|XX] [CH] longitude latitude member [longitude
// latitude member …].
func Add(args [][]byte) (operation.Operation, *resp.Value) {
	var o zset.AddOptions
	places := args[2:]
	for ; len(places) > 0; places = places[1:] {
		if datatype.Is(places[0], "NX") {
			o.NX = true
		} else if datatype.Is(places[0], "XX") {
			o.XX = true
		} else if datatype.Is(places[0], "CH") {
			o.CH = true
		} else {
			break
		}
	}
	if len(places) == 0 || len(places)%3 != 0 || (o.NX && o.XX) {
		return nil, resp.ErrSyntax
	}
	members := make([]zset.Member, len(places)/3)
	for i := range members {
		p, err := parsePoint(places[3*i:])
		if err != nil {
			return nil, err
		}
		from, _ := world.cellOf(p, finest).ends()
		members[i] = zset.Member{Name: places[3*i+2], Score: from}
	}
	return zset.Adding(members, o), nil
}

// Pos parses GEOPOS key member [member …].
func Pos(args [][]byte) (operation.Operation, *resp.Value) {
	return each(args[2:], resp.NilArray, func(p point) *resp.Value { return p.reply() })
}

// Hash parses GEOHASH key member [member …].
func Hash(args [][]byte) (operation.Operation, *resp.Value) {
	return each(args[2:], resp.Nil, func(p point) *resp.Value { return resp.Text(p.hash()) })
}

// each returns an operation that replies with a value for each member's
// position, and none for missing members.
func each(names [][]byte, none *resp.Value, show func(point) *resp.Value) (operation.Operation, *resp.Value) {
	return zset.Lookup(names, func(scores []resp.Value) *resp.Value {
		for i, s := range scores {
			if s.Kind == resp.Double {
				scores[i] = *show(pointOf(s.Float))
			} else {
				scores[i] = *none
			}
		}
		return resp.List(scores...)
	})
}

// Dist parses GEODIST key member1 member2 [unit].
func Dist(args [][]byte) (operation.Operation, *resp.Value) {
	metres := 1.0
	if len(args) > 5 {
		return nil, resp.ErrSyntax
	}
	if len(args) == 5 {
		var err *resp.Value
		if metres, err = unit(args[4]); err != nil {
			return nil, err
		}
	}
	return zset.Lookup(args[2:4], func(scores []resp.Value) *resp.Value {
		if scores[0].Kind != resp.Double || scores[1].Kind != resp.Double {
			return resp.Nil
		}
		return distanceReply(distance(pointOf(scores[0].Float), pointOf(scores[1].Float)) / metres)
	})
}

// distanceReply formats a distance like Redis.
func distanceReply(d float64) *resp.Value { return resp.Bytes(strconv.AppendFloat(nil, d, 'f', 4, 64)) }

// reply lists longitude and latitude.
func (p point) reply() *resp.Value { return resp.List(coordinate(p.lon), coordinate(p.lat)) }

// coordinate formats a double like Redis formats long doubles: 17 digits after
// the point, without trailing zeros.
func coordinate(f float64) resp.Value {
	text := bytes.TrimRight(strconv.AppendFloat(nil, f, 'f', 17, 64), "0")
	if text = bytes.TrimSuffix(text, []byte(".")); string(text) == "-0" {
		text = text[1:]
	}
	return resp.Value{Kind: resp.Double, Float: f, Str: text}
}

// globe is the area of standard geohashes.
var globe = area{lon: interval{-180, 180}, lat: interval{-90, 90}}

// hash returns the point's standard geohash: 50 bits, and a last digit that is
// always zero.
func (p point) hash() string {
	const alphabet, digit = "0123456789bcdefghjkmnpqrstuvwxyz", 5
	bits := globe.cellOf(p, finest).bits
	var text [11]byte
	for i := range text {
		text[i] = alphabet[0]
		if shift := 2*finest - digit*(i+1); shift > 0 {
			text[i] = alphabet[bits>>shift&(1<<digit-1)]
		}
	}
	return string(text[:])
}
