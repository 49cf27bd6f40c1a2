// Package rpc carries payloads between proxies and nodes. It does not interpret
// them; package wire does.
//
// One TCP connection between two processes is one Session. It begins with a
// handshake, in which both sides say which protocol version they speak, to
// which cluster they belong and who they are, and prove that they know the
// cluster's Secret:
//
//	hello = "SYNOD" · version (1) · length (2, big endian) · body
//	body  = status (1) · fields
//	field = number (1) · length (2, big endian) · value, in ascending order
//
//	client                                   server
//	  kind, cluster, name, nonce, secrets,
//	  claim, seen                          →
//	                                       ←   kind, cluster, name, nonce, secret, self
//	                                       ←   proof
//	  proof                                →
//	                                       ←   status, highest
//
// A proxy claims its proposer id and says what it has seen of the node. A node says
// who it is (self) and, if it does not admit the id, the highest that it has seen.
//
// A proof is HMAC-SHA256, keyed by the secret, over the side that it is from and the
// first hello of both sides. So it authenticates everything in them. A status other
// than zero ends the handshake and gives the reason.
//
// The part before the body is the same in all versions, so that two incompatible
// versions can tell. After it the connection is a yamux session with one
// stream per traffic Class, opened by the dialling side in the order of the
// classes. A stream carries frames in both directions:
//
//	frame = length (4, big endian) · CRC-32C of the payload (4) · payload
//
// Bulk frames are written in pieces, so that frames of other classes can be sent in
// between. Each stream has its own receive window, so that a class whose payloads
// are not taken does not hold up the others.
//
// Sending never blocks: Send copies the payload into a bounded buffer, and one
// goroutine per class writes everything in it at once. Payloads of one class arrive
// in the order they were sent, complete and unaltered, or the session ends. A
// payload that was not answered when a session ends may or may not have arrived. A
// session is not reopened: its owner dials a new one.
package rpc
