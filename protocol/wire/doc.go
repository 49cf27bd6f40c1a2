// Package wire encodes and decodes everything that leaves a process: the
// messages between proxies and nodes, the entries of a node's changelog and
// the fixed part of a register's row.
//
// The payload of one frame is a batch, a sequence of messages:
//
//	message = kind (1 byte) · length (uvarint) · body
//
// so that a reader can skip what it does not know. Numbers are uvarints, byte
// strings a uvarint length and the bytes, booleans and "is there at all" share
// one flags byte per message; what is absent costs nothing. The bytes of a
// message do not depend on whom it is sent to: an Accept is encoded once for
// all members of a group.
//
// Ballots:
//
//	absolute = 0                                          the zero ballot
//	         | proposer+1 (uvarint) · time (8 bytes)
//	in lists = flags · ms since the entry before (uvarint)
//	           [counter] [proposer] [parent, absolute]
//
// Encoders append to a slice, never fail and expect values that keep the
// promises of their types (lists ascending, elements in order). Decoders
// expect nothing: any bytes lead to a value that keeps those promises, or to
// an error that is ErrMalformed, never to a panic or to memory out of
// proportion to the input.
//
// Byte slices in decoded values alias the input. Whoever decodes gives the
// input away; whoever keeps a decoded slice for long keeps all of the input
// alive and should clone it. Keys of registers are strings of their own.
package wire

// Version is the version of the protocol between processes: of the messages,
// of their framing and of what they mean. Peers of different versions do not
// talk.
const Version = 4
