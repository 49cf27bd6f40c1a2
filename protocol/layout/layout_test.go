package layout_test

import (
	"encoding/binary"
	"testing"

	"synod/protocol/layout"
	"synod/protocol/register"
)

func TestDue(t *testing.T) {
	aux := func(ms uint64) []byte { return binary.BigEndian.AppendUint64(nil, ms) }
	for _, c := range []struct {
		header register.Header
		want   int64
	}{
		{register.Header{Type: register.String}, 0},
		{register.Header{Type: register.String, Expiry: 5, Aux: aux(3)}, 5},
		{register.Header{Type: register.Hash, Expiry: 5}, 5},
		{register.Header{Type: register.Hash, Aux: aux(3)}, 3},
		{register.Header{Type: register.Hash, Expiry: 5, Aux: aux(3)}, 3},
		{register.Header{Type: register.Hash, Expiry: 2, Aux: append(aux(3), aux(1)...)}, 2},
		{register.Header{Type: register.Hash, Expiry: 2, Aux: []byte("short")}, 2},
		{register.Header{Type: register.Hash, Expiry: 2, Aux: aux(0)}, 2},
	} {
		if got := layout.Due(c.header); got != c.want {
			t.Errorf("%+v is due at %d, want %d", c.header, got, c.want)
		}
	}
}
