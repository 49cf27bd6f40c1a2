package rowcodec

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// FuzzRows reads any bytes as the key and value of a stored row: an error, or a
// row that is written back as it was.
func FuzzRows(f *testing.F) {
	r := register.ID{Slot: 7, Key: "\x00user:1"}
	rec := durable.Record{Register: r, Accepted: ballot.Ballot{Time: 1 << 40, Proposer: 3},
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
			t.Errorf("ParseTop: %v", err)
		}
		var rec durable.Record
		var c Content
		if err := ParseRow(bytes.Clone(value), &rec, &c); err != nil {
			if !errors.Is(err, ErrRow) {
				t.Errorf("ParseRow: %v", err)
			}
			return
		}
		// What can be read is written so that it reads the same.
		first := AppendRow(nil, &rec, &c)
		var rec2 durable.Record
		var c2 Content
		if err := ParseRow(bytes.Clone(first), &rec2, &c2); err != nil {
			t.Fatalf("ParseRow of %x: %v", first, err)
		}
		if second := AppendRow(nil, &rec2, &c2); !bytes.Equal(first, second) {
			t.Errorf("written once:  %x\nwritten again: %x", first, second)
		}
	})
}

// TestRowsStayTheSame compares rows with what they were when the format was
// defined.
func TestRowsStayTheSame(t *testing.T) {
	r := register.ID{Slot: 0x0102, Key: "\x03key"}
	i := Incarnation{Ballot: ballot.Ballot{Time: 0x0102030405060708, Proposer: 0x090a0b0c}, Stage: 0x0d0e0f10}
	hash := fmt.Sprintf("%012x", partition.Hash48(r.Key))
	for _, test := range []struct{ name, got, want string }{
		{"record", fmt.Sprintf("%x", append(AppendRegister(nil, r), RowRecord)), "72010203" + hash + "036b657900"},
		{"element", fmt.Sprintf("%x", append(AppendRows(nil, r, RowElement, i), "e"...)), "72010203" + hash + "036b6579010102030405060708090a0b0c0d0e0f1065"},
		{"bucket", fmt.Sprintf("%x", AppendRows(nil, r, RowBucket, i)), "72010203" + hash + "036b6579020102030405060708090a0b0c0d0e0f10"},
		{"expiry", fmt.Sprintf("%x", AppendExpiry(nil, r, 0x1112)), "7801020000000000001112036b6579"},
		{"lane", string(LaneRow(2)), "mlaneC"},
		{"marker", fmt.Sprintf("%x", StageRow(r, i)), "6d737461676572010203" + hash + "036b65790102030405060708090a0b0c0d0e0f10"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %s, want %s", test.name, test.got, test.want)
		}
	}
}
