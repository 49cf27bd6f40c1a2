// Package paxostest runs transcripts: scripts of what happens to a cluster, with
// the messages and states that come out, in testdata. They are there to be read.
// Each trace of docs/protocol.md's appendix is one, and so are the ordinary lives
// of a command: README.md says which, and how to read them.
//
// The cluster is a sim.Script: the real proposers, acceptors and wire encodings,
// on a network, disks and clocks that the transcript drives. A transcript ends
// with a check that what the clients saw is linearizable. One that shows why a
// rule of the protocol is needed runs again without it, and the check must fail.
//
//	go test ./paxostest -rewrite
//
// writes what comes out into the files. No rewriting makes a history pass that
// is not linearizable, or an omitted rule that nobody misses.
package paxostest
