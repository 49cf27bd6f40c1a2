package rowcodec

import (
	"bytes"
	"errors"
	"testing"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// FuzzRows reads any bytes as the key and value of a stored row: an error, or a
// row that is written back as it was.
func FuzzRows(f *testing.F) {
	r := caspaxos.Register{Slot: 7, Key: "\x00user:1"}
	rec := caspaxos.Record{Register: r, Accepted: caspaxos.Ballot{Time: 1 << 40, Proposer: 3},
		Header: register.Header{Type: register.String, Size: 5, Expiry: 1_700_000_000_000}}
	key := append(AppendRegister(nil, r), RowRecord)
	f.Add(key, AppendRow(nil, &rec, &Content{Rows: true}))
	f.Add([]byte{PrefixRegister}, []byte{recordFormat})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		reg, hash, rest, err := ParseRegister(key)
		if err == nil {
			back := AppendPlace(nil, reg.Slot, reg.Key[0], hash)
			if !bytes.HasPrefix(key, back) || !bytes.HasSuffix(key, rest) {
				t.Errorf("%x is read as slot %d, hash %x, key %q, rest %x", key, reg.Slot, hash, reg.Key, rest)
			}
		}
		if _, err := ParseTop(value); err != nil && !errors.Is(err, ErrRow) {
			t.Errorf("parseTop: %v", err)
		}
		var rec caspaxos.Record
		var c Content
		if err := ParseRow(bytes.Clone(value), &rec, &c); err != nil && !errors.Is(err, ErrRow) {
			t.Errorf("parseRow: %v", err)
		}
	})
}
