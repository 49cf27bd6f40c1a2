// Package sim runs whole clusters in one goroutine, by a seed: the real
// proposers, acceptors and wire encodings on a network, disks and clocks that
// the simulator owns. Messages are lost, delayed, doubled and reordered, nodes
// and proxies crash and come back, clocks jump. What the clients saw is checked
// for linearizability, for effects that happened once, and for data that came
// back; equal seeds give equal runs.
//
// A World is one such run. A Profile says what happens in it; a Script is a World
// whose network the transcripts of tests/paxostest drive by hand.
//
// Every safety rule can be omitted (rules.Set), and TestRule shows for
// each that the checks then fail: a checker that cannot fail proves nothing.
package sim
