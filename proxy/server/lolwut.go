package server

import (
	"math"
	"math/rand/v2"
	"strings"

	"synod/protocol/resp"
	"synod/proxy/datatype/number"
	"synod/proxy/session"
)

// lolwut draws a synod: a ring of seats, a majority of which agree. In Redis, the
// arguments choose a drawing; here they are checked and ignored.
func (srv *Server) lolwut(_ *session.Session, args [][]byte) *resp.Value {
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
	art.WriteString("\nSynod " + srv.version + ", Redis ver. " + session.RedisVersion + "\n")
	return &resp.Value{Kind: resp.Verbatim, Str: []byte(art.String())}
}

// seatAt returns the position of seat i of n on the canvas, clockwise.
func seatAt(i, n, width, height int) (x, y int) {
	sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
	x = int(math.Round(float64(width-1) / 2 * (1 + sin)))
	y = int(math.Round(float64(height-1) / 2 * (1 - cos)))
	return x, y
}

// drawable reports whether Redis's drawings take the arguments: three numbers for
// version 5, two for version 6.
func drawable(args [][]byte) bool {
	if len(args) < 3 || !session.Is(args[1], "VERSION") {
		return true
	}
	version, ok := number.ParseInt(args[2])
	numbers := 0
	switch version {
	case 5:
		numbers = 3
	case 6:
		numbers = 2
	}
	for _, arg := range args[3:min(len(args), 3+numbers)] {
		_, isNumber := number.ParseInt(arg)
		ok = ok && isNumber
	}
	return ok
}
