package throttle

import (
	"fmt"
	"testing"
	"time"
)

func TestOneLineInAWhile(t *testing.T) {
	var l Lines
	now := time.Unix(1000, 0)
	check := func(key string, suppressed int, write bool) {
		t.Helper()
		if n, ok := l.Next(key, now); n != suppressed || ok != write {
			t.Errorf("%s at %v: %d %v, want %d %v", key, now, n, ok, suppressed, write)
		}
	}
	check("a", 0, true)
	for range 41 {
		check("a", 0, false)
	}
	check("b", 0, true)
	now = now.Add(Every)
	check("a", 41, true)
	check("a", 0, false)
	now = now.Add(Every)
	check("a", 1, true)
	check("b", 0, true)
}

// TestManyKeysAreBounded: memory is bounded, and so is the number of lines, by whoever has
// many addresses.
func TestManyKeysAreBounded(t *testing.T) {
	var l Lines
	now := time.Unix(1000, 0)
	lines, left := 0, 0
	many := func() {
		for i := range 10 * maxKeys {
			if n, ok := l.Next(fmt.Sprint(now, i), now); ok {
				lines++
				left += n
			}
		}
	}
	many()
	if len(l.keys) > maxKeys+1 || lines > maxKeys+1 {
		t.Errorf("%d keys are kept, %d lines written", len(l.keys), lines)
	}
	now = now.Add(Every)
	many()
	if len(l.keys) > maxKeys+1 || lines > 2*(maxKeys+1) {
		t.Errorf("%d keys are kept, %d lines written", len(l.keys), lines)
	}
	now = now.Add(Every)
	if n, ok := l.Next("", now); !ok || lines+left+n != 20*maxKeys {
		t.Errorf("of %d, %d were written, %d counted", 20*maxKeys, lines, left+n)
	}
}
