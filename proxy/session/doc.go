// Package session runs the commands of clients. A session belongs to one
// connection: it reads requests, submits their commands to a Backend, and writes
// the replies. A Group has all sessions of one server.
//
//   - Commands that arrive together are submitted together and answered in order
//     by one write. A connection's commands take effect in order per key.
//   - Whatever one client sends or fails to read costs that client alone: errors of
//     the protocol, and panics of handlers, end its connection and no other.
//
// The package knows the commands about the connection and its clients (AUTH,
// HELLO, CLIENT, …). Commands about the server are handlers in the Table that the
// server passes in.
package session
