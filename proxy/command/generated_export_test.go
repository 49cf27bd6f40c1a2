package command

import (
	"testing"
	"time"

	"synod/protocol/resp"
)

// Machine exports this package's test machine to external tests.
type Machine struct{ machine }

// NewMachine returns an empty machine.
func NewMachine(t testing.TB) *Machine { return &Machine{*newMachine(t)} }

// Do runs a command at the current time.
func (m *Machine) Do(args ...[]byte) *resp.Value {
	m.now = time.Now().UnixMilli()
	return m.do(args...)
}

// Largest returns the number of elements of the largest value of each type.
func (m *Machine) Largest() map[string]uint64 {
	largest := map[string]uint64{}
	for _, v := range m.keys {
		name := v.Header.Type.String()
		largest[name] = max(largest[name], v.Header.Size)
	}
	return largest
}

// RedisPeer is a connection to a real Redis.
type RedisPeer struct{ *peer }

// StartRedis starts a Redis and connects to it once per protocol version, each
// with its own database.
func StartRedis(t testing.TB) (two, three RedisPeer) {
	s := startRedis(t)
	return RedisPeer{s.dial(2, 0)}, RedisPeer{s.dial(3, 1)}
}

// Send sends a command and returns the reply's bytes.
func (p RedisPeer) Send(args ...[]byte) ([]byte, error) { return p.do(args...), nil }
