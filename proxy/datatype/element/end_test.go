package element

import "testing"

// TestEnd checks that every member sorts before the end, even one with the
// highest hash.
func TestEnd(t *testing.T) {
	for _, hash := range []uint64{0, maxHash - 1, maxHash} {
		if key := appendHash(nil, "", clamp(hash)); string(key) >= End || !spanOf("").Contains(append(key, 0xff)) {
			t.Errorf("hash %x has the key %x", hash, key)
		}
	}
}
