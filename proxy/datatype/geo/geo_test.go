package geo

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// series sums the terms of a sine (from 1) or cosine (from 0) with 300-bit
// precision.
func series(x float64, from int64) *big.Float {
	number := func() *big.Float { return new(big.Float).SetPrec(300) }
	sum, term := number(), number().SetInt64(1)
	if from == 1 {
		term.SetFloat64(x)
	}
	square := number().SetFloat64(x)
	square.Mul(square, square)
	for n := from; n < 100; n += 2 {
		sum.Add(sum, term)
		term.Mul(term, square).Quo(term, number().SetInt64(-(n+1)*(n+2)))
	}
	return sum
}

// TestRounding compares sines and cosines to the nearest float, which the C
// library misses at most once in a thousand times.
func TestRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 600 {
		x := (rng.Float64() - 0.5) * 2 * math.Pi
		if i%3 == 0 {
			x = math.Ldexp(x, -rng.IntN(40))
		}
		sin, _ := series(x, 1).Float64()
		cos, _ := series(x, 0).Float64()
		if got := sine(x); got != sin {
			t.Errorf("sine(%v) = %v, want %v", x, got, sin)
		}
		if got := cosine(x); got != cos {
			t.Errorf("cosine(%v) = %v, want %v", x, got, cos)
		}
		// The sine of the result must be closer than those of its neighbours.
		y := arcSine(sin)
		off := func(y float64) float64 {
			d, _ := new(big.Float).Sub(series(y, 1), new(big.Float).SetFloat64(sin)).Float64()
			return math.Abs(d)
		}
		if off(y) > off(math.Nextafter(y, 2)) || off(y) > off(math.Nextafter(y, -2)) {
			t.Errorf("arcSine(%v) = %v is not the nearest", sin, y)
		}
	}
	for x, want := range map[float64]float64{1: math.Pi / 2, 0: 0} {
		if got := arcSine(x); got != want {
			t.Errorf("arcSine(%v) = %v", x, got)
		}
	}
	if y := arcSine(1.1); !math.IsNaN(y) {
		t.Errorf("arcSine(1.1) = %v", y)
	}
	if y := cosine(math.Inf(1)); !math.IsNaN(y) {
		t.Errorf("cosine(inf) = %v", y)
	}
}

func TestCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		x := rng.Uint32()
		if got := gather(spread(x)); got != x {
			t.Fatalf("%x comes back as %x", x, got)
		}
		p := point{lon: rng.Float64()*360 - 180, lat: rng.Float64()*170 - 85}
		c := world.cellOf(p, finest)
		if a := c.area(); p.lon < a.lon.min || p.lon > a.lon.max || p.lat < a.lat.min || p.lat > a.lat.max {
			t.Fatalf("%v is not in its cell %v", p, a)
		}
		score, next := c.ends()
		if q := pointOf(score); next != score+1 || math.Abs(q.lon-p.lon) > 1e-5 || math.Abs(q.lat-p.lat) > 1e-5 {
			t.Fatalf("%v comes back as %v", p, q)
		}
		if back := c.moved(1, -1).moved(-1, 1); back != c {
			t.Fatalf("%v there and back is %v", c, back)
		}
	}
	if c := (cell{bits: 0, steps: 3}).moved(-1, -1); c.bits != 1<<6-1 {
		t.Errorf("the map's edges do not meet: %b", c.bits)
	}
}

// TestScoresThatAreNoCells compares with Redis's replies.
func TestScoresThatAreNoCells(t *testing.T) {
	west, south := -179.99999731779098511, -85.05112751263942528
	for score, want := range map[float64]point{
		math.Inf(1): {west, south}, math.Inf(-1): {maxLon, south}, -1: {maxLon, maxLat}, 9e18: {maxLon, maxLat},
		1e300: {west, south}, 1 << 52: {west, maxLat},
	} {
		if got := pointOf(score); got != want {
			t.Errorf("%v is %v, want %v", score, got, want)
		}
	}
}

// TestCellsCoverShapes draws points in shapes and checks that the searched
// cells contain them.
func TestCellsCoverShapes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	missed := 0
	for range 2000 {
		s := shape{center: point{lon: rng.Float64()*300 - 150, lat: rng.Float64()*120 - 60}, unit: 1, radius: math.Exp(rng.Float64() * 14)}
		if s.box = rng.IntN(2) == 0; s.box {
			s.width, s.height = s.radius, s.radius*rng.Float64()
		}
		b := s.bounds()
		p := point{lon: b.lon.min + rng.Float64()*(b.lon.max-b.lon.min), lat: b.lat.min + rng.Float64()*(b.lat.max-b.lat.min)}
		p = pointOf(func() float64 { from, _ := world.cellOf(p, finest).ends(); return from }())
		if _, inside := s.holds(p); !inside {
			continue
		}
		score, _ := world.cellOf(p, finest).ends()
		found := false
		for _, c := range s.cells() {
			from, to := c.ends()
			found = found || (score >= from && score < to)
		}
		if !found {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d points in shapes are in no cell that is searched", missed)
	}
}
