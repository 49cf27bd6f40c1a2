// Package bench compares a cluster of Synod's programs with a redis-server that
// syncs every write and a three-member etcd. All run on one machine and file
// system under the same load, alternating every few seconds. Only the ratios
// are meaningful on other machines.
//
// `go test` runs a miniature version to check that it works; `make bench`
// measures.
package bench
