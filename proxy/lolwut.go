package proxy

import (
	"math"
	"math/rand/v2"
	"strings"

	"synod/protocol/resp"
)

// lolwut draws a synod: a ring of seats, some of which agree, always a
// majority. Arguments choose among Redis's drawings; here they have to be well
// formed, and that is all.
func lolwut(s *session, args [][]byte) *resp.Value {
	if !drawable(args) {
		return resp.ErrNotInteger
	}
	const width, height, seats = 41, 13, 24
	canvas := make([][]byte, height)
	for y := range canvas {
		canvas[y] = []byte(strings.Repeat(" ", width))
	}
	agree := seats/2 + 1 + rand.IntN(seats/2)
	for i, seat := range rand.Perm(seats) {
		x, y := seatAt(seat, seats, width, height)
		canvas[y][x] = 'o'
		if i < agree {
			canvas[y][x] = '@'
		}
	}
	var art strings.Builder
	art.WriteString("txt:")
	for _, line := range canvas {
		art.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	art.WriteString("\n" + itoa(int64(agree)) + " of " + itoa(seats) + " seats agree: chosen.\n")
	art.WriteString("\nSynod " + s.srv.version + ", Redis ver. " + redisVersion + "\n")
	return &resp.Value{Kind: resp.Verbatim, Str: []byte(art.String())}
}

// seatAt returns where on the canvas one of n seats stands, clockwise.
func seatAt(i, n, width, height int) (x, y int) {
	sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
	x = int(math.Round(float64(width-1) / 2 * (1 + sin)))
	y = int(math.Round(float64(height-1) / 2 * (1 - cos)))
	return x, y
}

// drawable tells whether the arguments are what Redis's drawings take: those of
// versions 5 and 6 have three and two numbers.
func drawable(args [][]byte) bool {
	if len(args) < 3 || !is(args[1], "VERSION") {
		return true
	}
	version, ok := parseLength(args[2])
	numbers := 0
	switch version {
	case 5:
		numbers = 3
	case 6:
		numbers = 2
	}
	for _, arg := range args[3:min(len(args), 3+numbers)] {
		_, isNumber := parseLength(arg)
		ok = ok && isNumber
	}
	return ok
}
