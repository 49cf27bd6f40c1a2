package geo

import "math"

// Distances between nearly opposite points depend on the last bit of sines and
// arc sines: they can differ by metres. Go's results differ there from those of
// the C library, which Redis uses. So they are computed here with extra bits
// and then rounded, like in the C library.

// double is the unevaluated sum of two floats. The second is at most half a
// unit in the last place of the first.
type double struct{ hi, lo float64 }

// sum returns a+b exactly.
func sum(a, b float64) double {
	s := a + b
	t := s - a
	return double{s, (a - (s - t)) + (b - t)}
}

// product returns a*b exactly.
func product(a, b float64) double {
	p := a * b
	return double{p, math.FMA(a, b, -p)}
}

func (x double) plus(y double) double {
	s := sum(x.hi, y.hi)
	return sum(s.hi, s.lo+(x.lo+y.lo))
}

func (x double) times(y double) double {
	p := product(x.hi, y.hi)
	return sum(p.hi, p.lo+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}

// parts divides a half circle; within half a part, few terms of a series are
// enough.
const parts = 64

// part is π/parts in pieces: multiples of the first two are exact.
var part = func() (p [3]float64) {
	rest := double{math.Pi / parts, 1.2246467991473532e-16 / parts} // π and its rounding error
	for i := range 2 {
		p[i] = math.Float64frombits(math.Float64bits(rest.hi) &^ (1<<20 - 1))
		rest = sum(rest.hi-p[i], rest.lo)
	}
	p[2] = rest.hi
	return p
}()

// sines has the sines of all multiples of a part, for a full circle.
var sines = func() (s [2 * parts]double) {
	step := double{part[0], 0}.plus(double{part[1], 0}).plus(double{part[2], 0})
	for i := 1; i <= parts/2; i++ {
		angle := step.times(double{float64(i), 0})
		square := angle.times(angle)
		term := angle
		for n := 1.0; math.Abs(term.hi) > 1e-35; n += 2 {
			s[i] = s[i].plus(term)
			inverse := 1 / ((n + 1) * (n + 2))
			rest := math.FMA(-inverse, (n+1)*(n+2), 1) * inverse
			term = term.times(square).times(double{-inverse, -rest})
		}
	}
	for i := range parts / 2 {
		s[parts-i] = s[i]
	}
	for i := range parts {
		s[parts+i] = double{-s[i].hi, -s[i].lo}
	}
	return s
}()

// turns limits the angles that get full precision, in radians.
const turns = 1000

// sinCos returns the sine and cosine of an angle. Only angles of a few turns
// get extra precision; others do not occur on the earth.
func sinCos(x float64) (sin, cos double) {
	if !(math.Abs(x) < turns) {
		return double{math.Sin(x), 0}, double{math.Cos(x), 0}
	}
	k := math.Round(x / part[0])
	r := sum(x-k*part[0], -k*part[1])
	r = sum(r.hi, r.lo-float64(k*part[2]))
	z := product(r.hi, r.hi)
	cube := z.hi * r.hi
	s := sum(r.hi, r.lo+cube*(-1.0/6+z.hi*(1.0/120+z.hi*(-1.0/5040+z.hi*(1.0/362880)))))
	c := sum(1, -z.hi/2)
	c = sum(c.hi, c.lo-(z.lo/2+r.hi*r.lo)+z.hi*z.hi*(1.0/24+z.hi*(-1.0/720+z.hi*(1.0/40320))))
	at := int(k)
	sinAt, cosAt := sines[at&(2*parts-1)], sines[(at+parts/2)&(2*parts-1)]
	sin = sinAt.times(c).plus(cosAt.times(s))
	cos = cosAt.times(c).plus(double{-sinAt.hi, -sinAt.lo}.times(s))
	return sin, cos
}

func sine(x float64) float64 {
	s, _ := sinCos(x)
	return s.hi
}

func cosine(x float64) float64 {
	_, c := sinCos(x)
	return c.hi
}

// arcSine improves the library's result with one step of Newton's method.
func arcSine(x float64) float64 {
	y := math.Asin(x)
	sin, cos := sinCos(y)
	if cos.hi < 1e-12 || math.IsNaN(y) { // a right angle
		return y
	}
	return y + ((x-sin.hi)-sin.lo)/cos.hi
}
