package hll

import "math"

// counters are the combined registers of one or more HyperLogLogs.
type counters [registers]byte

// merge raises each register to its value in a whole HyperLogLog. It returns
// false if that is damaged.
func (m *counters) merge(value []byte) bool {
	regs := value[headerBytes:]
	if encodingOf(value) == sparse {
		return runs(regs, func(first int, r run) {
			if r.rank > 0 {
				for i := range r.count {
					m[first+i] = max(m[first+i], r.rank)
				}
			}
		})
	}
	for i := range m {
		m[i] = max(m[i], getRegister(regs, i))
	}
	return true
}

// estimate returns the number of different elements, using Ertl's improved
// estimator ("New cardinality estimation algorithms for HyperLogLog sketches",
// algorithm 6). The conversions to float64 keep compilers from fusing
// operations, so that all proxies get the same result.
func (m *counters) estimate() uint64 {
	const (
		alpha = 0.721347520444481703680 // 1/(2 ln 2)
		size  = float64(registers)
	)
	var histogram [64]int
	for _, rank := range m {
		histogram[rank]++
	}
	z := size * tau((size-float64(histogram[maxRank]))/size)
	for rank := maxRank - 1; rank >= 1; rank-- {
		z = float64(z+float64(histogram[rank])) * 0.5
	}
	z = float64(z + float64(size*sigma(float64(histogram[0])/size)))
	return uint64(math.Round(alpha * size * size / z))
}

// tau is Ertl's function for saturated registers.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		last := z
		y *= 0.5
		z = float64(z - float64(float64((1-x)*(1-x))*y))
		if z == last {
			return z / 3
		}
	}
}

// sigma is Ertl's function for registers that are zero.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		last := z
		z = float64(z + float64(x*y))
		y += y
		if z == last {
			return z
		}
	}
}
