package element

import "testing"

// TestEnd: no member is behind the end, not even one with the last hash there
// is.
func TestEnd(t *testing.T) {
	for _, hash := range []uint64{0, maxHash - 1, maxHash} {
		if key := appendHash(nil, "", clamp(hash)); string(key) >= End || !spanOf("").Contains(append(key, 0xff)) {
			t.Errorf("hash %x has the key %x", hash, key)
		}
	}
}
