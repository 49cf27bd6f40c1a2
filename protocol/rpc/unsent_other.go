//go:build !linux

package rpc

import "net"

// limitUnsent does nothing where the option does not exist.
func limitUnsent(*net.TCPConn) {}
