// Package caspaxos is Synod's consensus algorithm: CASPaxos (Rystsov,
// "CASPaxos: Replicated State Machines without logs", arXiv:1802.07000) as
// PROTOCOL.md of this project sharpens it. Section numbers in comments (§4.2)
// are that page's.
//
// Both halves are here. An Acceptor votes and keeps its votes in a Store; a
// Proposer runs commands on registers by rounds of messages. Neither does I/O:
// they are handed messages and the time, and they return messages to send.
// They start no goroutine, read no clock and draw no random number but those
// they are given. The daemons drive them with sockets and disks, the simulator
// drives the same code with a seeded scheduler.
//
// Neither half is safe for concurrent use: a register belongs to one lane, and
// a lane calls one Proposer or one Acceptor from one goroutine.
package caspaxos
