// Package throttle keeps what strangers can repeat at will from filling a log.
package throttle

import (
	"sync"
	"time"
)

const (
	// Every is the time between two lines about the same thing.
	Every = 10 * time.Second
	// maxKeys bounds the things that are told apart. Beyond it, all others are
	// one.
	maxKeys = 1024
)

// Lines decides which log lines are written: for each key, such as an address,
// one in ten seconds. The zero value is ready. It is safe for concurrent use.
type Lines struct {
	mu   sync.Mutex
	keys map[string]*line
}

type line struct {
	written time.Time
	left    int // lines since then that were not written
}

// Next reports whether to write a line about key at a time, and if so how many
// before it were not.
func (l *Lines) Next(key string, now time.Time) (suppressed int, write bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys = make(map[string]*line)
	}
	k := l.keys[key]
	if k == nil {
		if key = l.room(key, now); l.keys[key] == nil {
			l.keys[key] = &line{written: now}
			return 0, true
		}
		k = l.keys[key]
	}
	if now.Sub(k.written) < Every {
		k.left++
		return 0, false
	}
	suppressed = k.left
	k.written, k.left = now, 0
	return suppressed, true
}

// room makes room for another key. If there is none, the key is one of the
// others.
func (l *Lines) room(key string, now time.Time) string {
	if len(l.keys) < maxKeys {
		return key
	}
	for k, old := range l.keys {
		if now.Sub(old.written) >= Every && old.left == 0 {
			delete(l.keys, k)
		}
	}
	if len(l.keys) < maxKeys {
		return key
	}
	const others = ""
	return others
}
