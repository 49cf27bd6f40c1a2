// Package proxy is the front end of a Synod proxy: it speaks RESP2 and RESP3
// with Redis clients, knows the commands that concern the connection or the
// server, and hands all others, as operations on registers, to a Backend.
//
// What it promises:
//
//   - Replies, error texts and protocol errors are Redis's, to the letter.
//   - Nothing a client sends or fails to read takes memory without a bound:
//     lengths are checked before memory is taken for them (guard), what a
//     client does not read is buffered up to a limit (output), and what all
//     clients hold together is bounded as well (memory).
//   - Commands that arrive together are submitted together and answered in
//     order by one write. A connection's commands take effect in order per key.
//   - A client that breaks the protocol, or a handler that panics, costs that
//     one connection.
//
// The package does no consensus and no I/O but that with its clients.
package proxy
