package command

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// geoForms are commands on places, in the way of forms. Words that begin with
// "~" are made up by geoWords.
var geoForms = []string{
	"GEOADD ~g ~point ~m", "GEOADD ~g ~point ~m ~point ~m ~point ~m", "GEOADD ~g ?NX ?XX ?CH ~point ~m", "GEOADD ~g ~places", "GEOADD ~g ~places", "GEOADD ~g ~point",
	"GEOPOS ~g ~m ?~m ?~m", "GEOHASH ~g ~m ?~m", "GEODIST ~g ~m ~m", "GEODIST ~g ~m ~m ~unit", "GEODIST ~g ~m ~m ~unit ?~unit",
	"GEOSEARCH ~g FROMLONLAT ~point BYRADIUS ~metres m ~with", "GEOSEARCH ~g FROMLONLAT ~point BYRADIUS ~metres m ~with", "GEOSEARCH ~g FROMLONLAT ~point BYBOX ~metres ~metres m ~with",
	"GEOSEARCH ~g FROMLONLAT ~point BYBOX ~metres ~metres m ~with", "GEOSEARCH ~g FROMMEMBER ~m BYRADIUS ~length ~with ~order", "GEOSEARCH ~g FROMMEMBER ~m BYBOX ~number ~length ~order ~with",
	"GEOSEARCH ~g FROMLONLAT ~point BYRADIUS ~metres m COUNT ~count ~order ~with", "GEOSEARCH ~g FROMLONLAT ~point BYRADIUS ~metres m COUNT ~count ANY ~order ~with",
	"GEOSEARCH ~g BYRADIUS ~metres m COUNT ~count ?ANY FROMMEMBER ~m ~with", "GEOSEARCH ~g ~any ~any ~any", "GEOSEARCH ~g ~any ~any ~any ~any ~any",
	"GEORADIUS ~g ~point ~length ~with ~order", "GEORADIUS ~g ~point ~metres m ~with ~order ?COUNT ~count", "GEORADIUS_RO ~g ~point ~length ~with ~any", "GEORADIUS ~g ~point ~length ~with ~any",
	"GEORADIUSBYMEMBER ~g ~m ~length ~with ~order", "GEORADIUSBYMEMBER ~g ~m ~metres m COUNT ~count ?ANY ~with", "GEORADIUSBYMEMBER_RO ~g ~m ~length ~with ~any", "GEORADIUSBYMEMBER ~g ~m ~length ~any ~any",
	"ZADD ~g ~cell ~m", "ZREM ~g ~m ~m", "ZRANGE ~g 0 -1 WITHSCORES", "ZPOPMIN ~g 20", "DEL ~g", "SET str x",
}

type geoScript struct {
	script
	center [2]float64 // about where the points are at present
}

func newGeoScript(seed uint64) *geoScript {
	return &geoScript{script: script{Rand: rand.New(rand.NewPCG(seed, 4)), forms: geoForms}}
}

func (s *geoScript) next() [][]byte {
	if s.IntN(20) == 0 {
		s.center = pick(s.script, [2]float64{0, 0}, [2]float64{13.4, 38.1}, [2]float64{180, 0}, [2]float64{-179.99, 70}, [2]float64{0, 85.05}, [2]float64{90, -85}, [2]float64{-45, -67},
			[2]float64{s.Float64()*360 - 180, s.Float64()*170 - 85})
	}
	return madeUp(s.script, s.geoWords)
}

func (s *geoScript) geoWords(kind string) []string {
	one := func(of ...string) []string { return []string{pick(s.script, of...)} }
	switch kind {
	case "g":
		return one("g", "g", "g", "g", "g2", "g3", "none", pick(s.script, "g", "str"))
	case "m":
		return one("a", "b", "c", "d", "e", "f", strconv.Itoa(s.IntN(100)), strconv.Itoa(s.IntN(100)), pick(s.script, "a", "nope"))
	case "point":
		return s.point()
	case "places":
		var out []string
		for i := range pick(s.script, 5, 40, 200) {
			out = append(append(out, s.point()...), strconv.Itoa(i))
		}
		return out
	case "unit":
		return one("m", "km", "ft", "mi", "KM", pick(s.script, "M", "x", ""))
	case "metres":
		return one("0", "1", "50", "1000", "1e4", "2e5", "1000000", "5000000", "2.1e7", "1e9", pick(s.script, "inf", "-1", "x", "1e308"), strconv.FormatFloat(s.ExpFloat64()*1e5, 'g', -1, 64))
	case "length":
		return append(s.geoWords("metres"), s.geoWords("unit")...)
	case "number":
		return one(s.geoWords("metres")[0], s.score())
	case "with":
		return pick(s.script, nil, []string{"WITHDIST"}, []string{"WITHCOORD"}, []string{"WITHHASH", "WITHDIST"}, []string{"withdist", "WITHHASH", "WITHCOORD"})
	case "order":
		return pick(s.script, nil, nil, []string{"ASC"}, []string{"DESC"})
	case "count":
		return one("1", "2", "5", "50", "1000000", "0", "-1", pick(s.script, "9223372036854775807", "x", "3"))
	case "cell":
		return one("0", "-1", "inf", "-inf", "4503599627370495", "4503599627370496", "1e19", "1.5", "9223372036854775808", "3479099956230698", "5e18")
	case "any":
		return pick(s.script, []string{"ASC"}, []string{"COUNT", "2"}, []string{"ANY"}, []string{"COUNT"}, []string{"FROMMEMBER", "a"}, []string{"FROMMEMBER", "nope"}, append([]string{"FROMLONLAT"}, s.point()...),
			append([]string{"BYRADIUS"}, s.geoWords("length")...), []string{"BYBOX", "1e5", "1e6", "m"}, []string{"WITHDIST"}, []string{"FROMLONLAT", "1"}, []string{"BYBOX", "1", "m"}, []string{"x"}, nil)
	}
	return []string{kind}
}

func (s *geoScript) score() string { return scoreScript{s.script}.score() }

// point returns a longitude and a latitude, mostly near to others.
func (s *geoScript) point() []string {
	spread := pick(s.script, 0, 1e-5, 0.01, 1, 1, 10)
	lon, lat := s.center[0]+s.NormFloat64()*spread, s.center[1]+s.NormFloat64()*spread
	if s.IntN(10) == 0 {
		lon, lat = s.Float64()*360-180, s.Float64()*170-85
	}
	if s.IntN(200) == 0 {
		lon, lat = pick(s.script, 180.0, -180, 181, -200, 1e300), pick(s.script, 85.05112878, -85.05112878, 85.06, -90, 0)
	}
	if lon > 180 && s.IntN(20) > 0 {
		lon -= 360
	}
	if s.IntN(20) > 0 {
		lat = max(-85.05, min(85.05, lat))
	}
	text := func(f float64) string {
		if s.IntN(300) == 0 {
			return s.score()
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return []string{text(lon), text(lat)}
}

// TestPlacesAsRedis runs random commands on places here and on a real Redis, in
// both protocols.
func TestPlacesAsRedis(t *testing.T) {
	c := comparison{commands: 1000, open: storesPlaces, besides: leftOf, differ: differInDistances}
	c.script = func(seed uint64) func() [][]byte { return newGeoScript(seed).next }
	c.run(t)
}

// storesPlaces reports whether a search has an option that takes a transaction.
func storesPlaces(_ *machine, args [][]byte) bool {
	for _, a := range args {
		if strings.HasPrefix(strings.ToLower(string(a)), "store") {
			return true
		}
	}
	return false
}

// differInDistances compares the places that a search with a COUNT finds by how
// far off they are: which of those that are equally far are left out is open.
func differInDistances(d difference) string {
	again, counted := [][]byte{}, false
	for _, a := range d.args {
		if !strings.HasPrefix(strings.ToLower(string(a)), "with") {
			again = append(again, a)
		}
		counted = counted || bytes.EqualFold(a, []byte("COUNT"))
	}
	again = append(again, []byte("WITHDIST"))
	got, want := strings.Split(string(d.m.do(again...).AppendTo(nil, 2)), "\r\n"), strings.Split(string(d.p.do(again...)), "\r\n")
	for i := 5; i < len(got) && len(got) == len(want); i += 5 { // of each place: *2 $ name $ distance
		counted = counted && got[i] == want[i]
	}
	if counted && len(got) == len(want) {
		return ""
	}
	return "they differ"
}
