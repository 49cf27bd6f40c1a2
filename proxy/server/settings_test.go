package server

import (
	"testing"

	"synod/proxy/datatype/str"
)

// TestBulkLimitBoundsStrings: CONFIG SET proto-max-bulk-len also bounds the strings that
// APPEND and SETRANGE build.
func TestBulkLimitBoundsStrings(t *testing.T) {
	t.Cleanup(func() { str.SetMaxSize(str.DefaultMaxSize) })
	c := start(t).dial()
	c.Do("CONFIG SET proto-max-bulk-len 1048576", "+OK\r\n")
	c.Do("SETRANGE k 1048576 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
	c.Do("SETRANGE k 1048575 x", ":1048576\r\n")
}
