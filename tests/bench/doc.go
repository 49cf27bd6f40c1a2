// Package bench measures a cluster of Synod's programs beside a redis-server
// that syncs every write and a three-member etcd: in one run, on one machine
// and file system, under the same load, a few seconds of one after a few of
// the other. Only the ratios mean something on another machine.
//
// `go test` runs it in miniature, to see that it works; `make bench` measures.
package bench
