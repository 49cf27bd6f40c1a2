package geo

import "math"

// earthRadius is Redis's value, in metres.
const earthRadius = 6372797.560856

// mercatorMax is half the map's width at the equator, in metres.
const mercatorMax = 20037726.37

// degree is C's value of π/180.
const degree = float64(math.Pi) / 180

func radians(degrees float64) float64 { return degrees * degree }
func degrees(radians float64) float64 { return radians / degree }

// distance returns the distance of two points on a sphere, in metres.
func distance(a, b point) float64 {
	lat1, lat2 := radians(a.lat), radians(b.lat)
	u := sine((lat2 - lat1) / 2)
	v := sine((radians(b.lon) - radians(a.lon)) / 2)
	h := float64(u*u) + float64(cosine(lat1)*cosine(lat2)*v*v)
	return 2 * earthRadius * arcSine(math.Sqrt(h))
}

// shape is the area to search: a radius around a point, or a box around it that
// is aligned with the equator.
type shape struct {
	center        point
	box           bool
	radius        float64
	width, height float64
	unit          float64 // metres
}

// holds reports whether a point is in the shape, and its distance from the
// center in metres.
func (s *shape) holds(p point) (metres float64, inside bool) {
	if !s.box {
		metres = distance(s.center, p)
		return metres, !(metres > s.radius*s.unit)
	}
	wide := distance(p, point{lon: s.center.lon, lat: p.lat})
	high := distance(p, point{lon: p.lon, lat: s.center.lat})
	if wide > s.width*s.unit/2 || high > s.height*s.unit/2 {
		return 0, false
	}
	return distance(s.center, p), true
}

// reach returns the largest distance from the center in metres: east or west,
// and north or south.
func (s *shape) reach() (far, wide, high float64) {
	if !s.box {
		return s.radius * s.unit, s.unit * s.radius, s.unit * s.radius
	}
	w, h := s.width/2, s.height/2
	far = math.Sqrt(float64(w*w)+float64(h*h)) * s.unit
	return far, s.unit * w, s.unit * h
}

// bounds returns the smallest area that contains the shape. Its width is
// measured where it is greatest, at the end away from the equator.
func (s *shape) bounds() area {
	_, wide, high := s.reach()
	lat := degrees(high / earthRadius)
	edge := s.center.lat + lat
	if s.center.lat < 0 {
		edge = s.center.lat - lat
	}
	lon := degrees(wide / earthRadius / cosine(radians(edge)))
	return area{
		lon: interval{s.center.lon - lon, s.center.lon + lon},
		lat: interval{s.center.lat - lat, s.center.lat + lat},
	}
}

// steps returns the cell precision at which nine cells cover most shapes of a
// size around a latitude.
func steps(far, lat float64) uint {
	if far == 0 {
		return finest
	}
	n := -1
	for ; far < mercatorMax; far *= 2 {
		n++
	}
	switch lat = math.Abs(lat); {
	case lat > 80: // cells are narrow here
		n -= 2
	case lat > 66:
		n--
	}
	return uint(max(1, min(n, finest)))
}

// The order in which Redis searches a cell and its neighbours: offsets to the
// east and north.
var neighbours = [...]struct{ east, north int }{{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}}

// cells returns the cells to search, in Redis's order. A cell may occur twice;
// then its members are found twice, as in Redis.
func (s *shape) cells() []cell {
	far, _, _ := s.reach()
	bounds := s.bounds()
	n := steps(far, s.center.lat)
	center := world.cellOf(s.center, n)
	if n > 1 && !center.surrounds(bounds) {
		n--
		center = world.cellOf(s.center, n)
	}
	inner := center.area()
	var out []cell
	last := 0 // last neighbour searched
	var previous cell
	for i, d := range neighbours {
		if n >= 2 && ((d.north < 0 && inner.lat.min < bounds.lat.min) || (d.north > 0 && inner.lat.max > bounds.lat.max) ||
			(d.east < 0 && inner.lon.min < bounds.lon.min) || (d.east > 0 && inner.lon.max > bounds.lon.max)) {
			continue // the shape does not extend beyond the center's cell here
		}
		c := center.moved(d.east, d.north)
		if last > 0 && c == previous {
			continue
		}
		out, last, previous = append(out, c), i, c
	}
	return out
}

// surrounds reports whether the cell's neighbours cover an area.
func (c cell) surrounds(a area) bool {
	return !(c.moved(0, 1).area().lat.max < a.lat.max || c.moved(0, -1).area().lat.min > a.lat.min ||
		c.moved(1, 0).area().lon.max < a.lon.max || c.moved(-1, 0).area().lon.min > a.lon.min)
}
