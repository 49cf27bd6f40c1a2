// Package rpc carries payloads between proxies and nodes. It knows nothing of
// what is in them; package wire does.
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
// A proxy claims its proposer id and says what it has seen of the node, a node
// says who it is (self) and, if it does not admit the id, the highest that it has
// met.
//
// A proof is HMAC-SHA256 by the secret over which side it is of and the first
// hello of both sides, so it vouches for all that stands in them. A status other
// than zero ends the handshake with its reason.
//
// What stands before the body is the same in all versions, so that two that
// cannot talk can tell. After it the connection is a yamux session with one
// stream per traffic Class, opened by the dialling side in the order of the
// classes. A stream carries frames in both directions:
//
//	frame = length (4, big endian) · CRC-32C of the payload (4) · payload
//
// Bulk frames are written in pieces, so that the frames of other classes are
// sent in between; each stream has its own receive window, so that a class
// whose payloads nobody takes does not hold up the others.
//
// Sending never blocks: Send copies the payload into a bounded buffer, from
// which one goroutine per class writes everything that has gathered at once.
// Payloads of one class arrive in the order they were sent, whole and
// unaltered, or the session ends; what was sent and not answered when a session
// ends may or may not have arrived. A session that has ended stays ended: its
// owner dials another.
package rpc
