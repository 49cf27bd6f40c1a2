// Package process tests whole programs: real synod-storaged, synod-proxy and
// synod processes, on a real etcd, driven by several Redis clients while they
// are killed, frozen and restarted.
//
// A workload records what every client asked for and was told, and when. The
// checkers know nothing of how Synod works; from the records they tell whether
// every acknowledged write is there, whether every command took effect once
// (PROTOCOL §11, L1, L3, L4, L5), and how long nobody was answered.
package process
