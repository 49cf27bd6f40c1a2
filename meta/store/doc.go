// Package store keeps in etcd what a cluster's processes must agree on: the cluster's
// identity, its placement table, which nodes and proxies are up, and the counter of
// proposer ids. Only this package imports the etcd client. It works with etcd 3.4 and
// later.
//
// # How it behaves
//
// Open does not connect. If etcd does not answer, calls wait until their context ends,
// and the Store logs it: when it notices the outage, every ten seconds while it lasts,
// and when it is over. The error of a failed call wraps one of the package's sentinel
// errors, or ErrUnavailable.
//
// Nothing that serves clients depends on etcd being there all the time. Watch
// delivers the newest Snapshot and keeps following through outages,
// compactions and restarts of etcd; a Snapshot may be used until the next arrives. A
// Registration renews itself, also after an outage.
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
// StoreID is a random number that the data directory was given when it was created
// (NewID). A node that has lost its disk counts as another node and needs a new node id
// (docs/protocol.md §9). A proxy does the same with NextProposerID,
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
