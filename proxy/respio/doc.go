// Package respio reads requests from a client's connection and writes replies to
// it, in bounded memory.
//
//   - Lengths are checked when they are announced, before any memory is taken for
//     them (guard). Redis's limits and its protocol errors apply, to the letter.
//   - Large arguments get memory of their own out of a budget before a byte of
//     them is read (Input).
//   - Replies that the client does not read are buffered up to a limit (Output).
//   - What the buffers of all clients hold together is bounded (Memory).
package respio
