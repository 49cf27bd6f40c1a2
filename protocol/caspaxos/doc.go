// Package caspaxos is Synod's consensus algorithm: CASPaxos (Rystsov, "CASPaxos:
// Replicated State Machines without logs", arXiv:1802.07000) as docs/protocol.md
// states it. Section numbers in comments (§4.2) are that page's.
//
// The two halves are packages below this one. An acceptor.Acceptor votes and keeps
// its votes in an acceptor.Store; a proposer.Proposer runs commands on registers by
// rounds of messages. Neither does I/O: they are given messages and the time, and
// they return messages to send. They start no goroutine, read no clock and draw no
// random number except those they are given. The daemons drive them with sockets and
// disks, the simulator drives the same code with a seeded scheduler.
//
// Below the halves are pure packages: ballot, quorum, history (what is known of a
// register's past, and how the outcome of an attempt is decided), message, durable
// (what is on disk), deltalog (deltas kept by an acceptor), round, progress (what a
// proposer knows of members) and limits. The tests in this directory run both halves
// together.
//
// Neither half is safe for concurrent use: a register belongs to one lane, and a lane
// calls one Proposer or one Acceptor from one goroutine.
package caspaxos
