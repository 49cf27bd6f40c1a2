// Package geo has the commands on geographic positions. A position is a member
// of a sorted set. Its score is its cell: 26 bits of latitude and 26 of
// longitude, interleaved, computed exactly as in Redis, including rounding.
package geo

import "math"

// point is a position, in degrees.
type point struct{ lon, lat float64 }

// The area covered by cells: the square map without the poles.
const (
	maxLon = 180
	maxLat = 85.05112878
)

// finest is the number of steps to the cells that scores stand for. Each step
// halves both coordinates.
const finest = 26

// cell is a part of the map after a number of steps. Bits of longitude and
// latitude alternate, longitude first. The zero cell means none.
type cell struct {
	bits  uint64
	steps uint
}

// interval is a range of a coordinate.
type interval struct{ min, max float64 }

// area is the area of a cell.
type area struct{ lon, lat interval }

var world = area{lon: interval{-maxLon, maxLon}, lat: interval{-maxLat, maxLat}}

// cellOf returns the cell of a point within an area.
func (a area) cellOf(p point, steps uint) cell {
	scale := float64(uint64(1) << steps)
	lat := (p.lat - a.lat.min) / (a.lat.max - a.lat.min) * scale
	lon := (p.lon - a.lon.min) / (a.lon.max - a.lon.min) * scale
	return cell{bits: spread(uint32(int64(lat))) | spread(uint32(int64(lon)))<<1, steps: steps}
}

// spread moves bit i to bit 2i; gather reverses it.
func spread(x uint32) uint64 {
	v := uint64(x)
	for i := len(halves) - 1; i >= 0; i-- {
		v = (v | v<<(1<<i)) & halves[i]
	}
	return v
}

func gather(v uint64) uint32 {
	v &= halves[0]
	for i := range len(halves) - 1 {
		v = (v | v>>(1<<i)) & halves[i+1]
	}
	return uint32(v | v>>16)
}

// halves[i] masks every other group of 1<<i bits.
var halves = [...]uint64{0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f, 0x00ff00ff00ff00ff, 0x0000ffff0000ffff}

// area returns the cell's area.
func (c cell) area() area {
	return area{
		lon: world.lon.part(gather(c.bits>>1), c.steps),
		lat: world.lat.part(gather(c.bits), c.steps),
	}
}

// part returns one of the equal parts of an interval. Numbers wrap around at 32
// bits, which matters for scores that are not cells.
func (i interval) part(n uint32, steps uint) interval {
	scale, size := float64(uint64(1)<<steps), i.max-i.min
	return interval{i.min + float64(float64(n)/scale*size), i.min + float64(float64(n+1)/scale*size)}
}

// middle returns the middle of an interval, limited to the map.
func (i interval) middle(limit float64) float64 {
	return max(-limit, min(limit, (i.min+i.max)/2))
}

// pointOf returns the position for a member's score.
func pointOf(score float64) point {
	a := cell{bits: unsigned(score), steps: finest}.area()
	return point{lon: a.lon.middle(maxLon), lat: a.lat.middle(maxLat)}
}

// unsigned converts a score like the processors that Redis usually runs on:
// even invalid scores always give the same result.
func unsigned(f float64) uint64 {
	const half = 1 << 63
	if f < half {
		return signed(f)
	}
	return signed(f-half) ^ half
}

func signed(f float64) uint64 {
	if f >= math.MinInt64 && f < math.MaxInt64 {
		return uint64(int64(f))
	}
	return 1 << 63
}

// moved returns the neighbour a number of cells further east and north,
// wrapping around at the map's edges. A coordinate exactly on the edge belongs
// to a cell beyond it, which stays there unless it moves in that direction.
func (c cell) moved(east, north int) cell {
	side := uint32(1)<<c.steps - 1
	lon, lat := gather(c.bits>>1), gather(c.bits)
	if east != 0 {
		lon = (lon + uint32(east)) & side
	}
	if north != 0 {
		lat = (lat + uint32(north)) & side
	}
	return cell{bits: spread(lat) | spread(lon)<<1, steps: c.steps}
}

// ends returns the first score of the cell and the first one after it.
func (c cell) ends() (from, to float64) {
	shift := 2 * (finest - c.steps)
	return float64(c.bits << shift), float64((c.bits + 1) << shift)
}
