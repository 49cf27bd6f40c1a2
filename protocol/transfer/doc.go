// Package transfer carries large states between proxies and nodes, in both
// directions. A state goes in chunks, so that neither a lane nor memory has to hold
// all of it.
//
// A Scheduler decides which transfers run: how many at a time, how many may wait, and
// that no peer takes the places of all. Room has a sender make the next chunk only when
// the connection can take it. An Inbox is the short queue between the goroutine that
// reads a connection and the one that writes what arrives to disk.
//
// Everything is bounded: transfers, bytes, and the time that a peer may leave a
// transfer where it is.
package transfer
