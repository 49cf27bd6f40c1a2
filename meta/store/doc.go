// Package store keeps what a cluster's processes must agree on in etcd: the
// cluster's identity, its placement table, which nodes and proxies are there,
// and the counter that proposer ids come from. It is the only importer of the
// etcd client, and works with every etcd from 3.4 on.
//
// # How it behaves
//
// Open contacts nobody. Calls wait for an etcd that does not answer until
// their context ends, and the Store says so in the log: once when the outage is
// noticed, every ten seconds while it lasts, once when it is over. A call that
// fails has one of the package's sentinel errors in its chain, or
// ErrUnavailable.
//
// Nothing that serves clients depends on etcd being there all the time. Watch
// delivers the newest Snapshot and keeps following through outages,
// compactions and restarts of etcd; whoever holds a Snapshot may use it until
// the next arrives. A Registration keeps itself alive and comes back by itself.
//
// # What a storage node does
//
//	reg, err := st.RegisterNode(ctx, store.NodeInfo{ID: "n1", Addr: rpc, Admin: admin,
//		StoreID: dir.StoreID, ClusterID: dir.ClusterID, Version: version, Past: …, Site: …, Synced: …})
//	if err != nil { … }      // ErrNodeTaken, ErrRolledBack, …: not to be retried
//	snap, err := st.WaitTable(ctx)      // says that it waits for `synodctl init`
//	if dir.ClusterID == "" { … }        // remember snap.ClusterID, durably
//	for snap := range st.Watch(ctx) { … }   // and <-reg.Lost() is fatal
//	reg.Close(ctx)           // and when nothing is written any more:
//	reg.Left(ctx, position)
//
// StoreID is a random number that the data directory was given when it was
// made (NewID); a node that lost its disk is not the node it was and needs a
// new node id (docs/protocol.md §9). A proxy does the same with NextProposerID,
// WaitTable and RegisterProxy.
//
// # Keys
//
// All keys of a cluster begin with /synod/<cluster>/, so several clusters
// share one etcd.
//
//	identity                 {"id", "created"}: written once, by Init
//	secret                   {"current", "previous", "since"}: what processes prove
//	                         to each other that they know; made by Init, or by
//	                         the first that watches a cluster without one
//	placement                the table, as package placement encodes it
//	proposer                 the last proposer id given out
//	nodes/<id>               a node's record; stays when the node goes
//	marks/<id>               its last start and how far its changelog was durable
//	                         then, at most 5 s ago; stays, too
//	alive/nodes/<id>         under a lease: the node is up
//	alive/proxies/<id>       under a lease: a proxy's record, by proposer id
package store
