// Package process tests whole programs: real synod-storaged, synod-proxy and
// synod processes, on a real etcd, driven by several Redis clients while they
// are killed, frozen and restarted.
//
// A workload records every client's requests and replies with their times. The
// checkers do not know how Synod works. From the records they check that every
// acknowledged write is present, that every command took effect once (PROTOCOL
// §11, L1, L3, L4, L5), and how long no client was answered.
package process
