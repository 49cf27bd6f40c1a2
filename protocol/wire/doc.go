// Package wire encodes and decodes everything that leaves a process: the
// messages between proxies and nodes, the entries of a node's changelog and
// the fixed part of a register's row.
//
// The payload of one frame is a batch, a sequence of messages:
//
//	message = kind (1 byte) · length (uvarint) · body
//
// so that a reader can skip a kind that it does not know. Numbers are uvarints. A
// byte string is a uvarint length and the bytes. Flags at the start of a message hold
// the booleans and say which optional fields follow; an absent field takes no space.
// The bytes of a message do not depend on its receiver: an Accept is encoded once
// for all members of a group.
//
// Ballots:
//
//	absolute = 0                                          the zero ballot
//	         | proposer+1 (uvarint) · time (8 bytes)
//	in lists = flags · ms since the previous entry (uvarint)
//	           [counter] [proposer] [parent, absolute]
//
// Encoders append to a slice and never fail. They rely on the invariants of their
// types (ascending lists, elements in order). Decoders rely on nothing: any input
// gives a value with those invariants, or an error that is ErrMalformed. It never
// causes a panic, and the memory used is in proportion to the input.
//
// Byte slices in decoded values alias the input, so the caller must not reuse it.
// A decoded slice keeps all of the input alive: clone one that is kept for long.
// Keys of registers are copied.
package wire

// Version is the version of the protocol between processes: the messages, their
// framing and their meaning. Peers of different versions cannot connect.
const Version = 4
