// Package storaged is the storage node: it serves the votes of its acceptors
// to proxies.
//
// A frame carries many messages. Its reader hands each to the lane of its register
// (partition.Lane). A lane is a goroutine that drains its queue, steps its acceptor
// through all of it, and has the changelog synced once. It does not wait for the
// sync: it works on the next batch meanwhile, and replies that show what is not
// durable yet are held until it is (PROTOCOL §2, durability rule). The replies of
// one batch to one session leave in one frame.
//
// Besides the lanes there are: the ticker, which moves the node's ceiling and
// floor; the placement watcher; two listers, which answer pages of registers;
// one for each outgoing large state; one for each incoming large state, which writes it
// and asks its lane; one that ends incoming states that have stalled; and the admin
// port. Daemon starts them all and waits for them when it is closed.
package storaged
