package main

import (
	"synod/proxy/server"
	"synod/storaged"
)

const (
	// etcdMemory is the memory of the embedded etcd in bytes.
	etcdMemory = 64 << 20
	// proxyMemory is the default memory of each proxy.
	proxyMemory = 1 << 30
)

// memory says how the process's memory is divided.
type memory struct {
	limit, outside int64
	node, proxy    int64 // limit of each
}

// divideMemory gives each node what it needs and, up to its default, half of
// the rest; the proxies get the remainder.
func divideMemory(f *flags) (memory, error) {
	nodes, proxies, cache := int64(f.Nodes), int64(f.Proxies), int64(f.CacheSize)
	usual := storaged.DefaultMemory(cache)
	m := memory{limit: f.MemoryLimit.Bytes(nodes*usual + proxies*proxyMemory + etcdMemory)}
	m.node = min(usual, max(storaged.LeastMemory(cache), (m.limit-etcdMemory)/(2*nodes)))
	node, err := storaged.DivideMemory(m.node, cache)
	if err != nil {
		return m, err
	}
	m.outside = nodes * node.Outside
	m.proxy = (m.limit - etcdMemory - nodes*m.node) / proxies
	_, err = server.DivideMemory(m.proxy)
	return m, err
}
