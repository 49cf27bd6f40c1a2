package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports that servers listen on come from below the range that the kernel takes
// the ports of outgoing connections from: a server that was killed finds its
// port free when it comes back.
const (
	firstPort = 10000
	lastPort  = 32000
)

var ports struct {
	sync.Mutex
	next int
}

// Port returns the first of n free loopback ports in a row, which no other
// call returns.
func Port(t testing.TB, n int) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		// Test programs run side by side; each begins somewhere else.
		ports.next = firstPort + rand.IntN(lastPort-firstPort)
	}
	for range lastPort - firstPort {
		port := ports.next
		if port+n > lastPort {
			port = firstPort
		}
		ports.next = port + n
		if free(port, n) {
			return port
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

// Addr returns a free loopback address.
func Addr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Port(t, 1))
}

func free(port, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
