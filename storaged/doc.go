// Package storaged is the storage node: it serves the votes of its acceptors
// to proxies.
//
// Messages reach a node in frames of many. The reader of a frame hands each to
// the lane of its register (caspaxos.Part); a lane is a goroutine that drains
// its queue, steps its acceptor through all of it, and has the changelog synced
// once. It does not wait for the sync: the next batch is worked on meanwhile,
// and replies that show what is not yet durable are held until it is (PROTOCOL
// §2, durability rule). Replies of one batch to one session leave in one frame.
//
// Besides the lanes there are: the ticker, which moves the node's ceiling and
// floor; the placement watcher; two listers, which answer pages of registers;
// one for each large state that is being sent, and one for each that comes in, which
// writes it and asks its lane; one that ends those that do not come in full; and
// the admin port. Daemon starts them all
// and waits for them when it is closed.
package storaged
