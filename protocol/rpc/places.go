package rpc

import (
	"net"
	"slices"
)

// How many sessions a server takes: in all, per address, and per name. A proxy needs
// one, and a second while the first ends. So a peer that keeps opening sessions
// cannot keep the others out.
const (
	maxSessions = 1024
	maxPerAddr  = 512
	maxPerName  = 64
	// maxStrangers bounds the connections that are still in their handshake. These do
	// not count for the limits above.
	maxStrangers = 256
)

// places counts the sessions of a server.
type places struct {
	taken  int
	byAddr map[string]int
	byName map[string]int // by kind and name
}

// take takes a place for a peer, or says why there is none.
func (p *places) take(peer Peer) (status byte, err error) {
	addr, name := hostOf(peer.Addr), peer.Kind.String()+" "+peer.Name
	switch {
	case p.taken >= maxSessions:
		return statusBusy, ErrBusy
	case p.byAddr[addr] >= maxPerAddr || p.byName[name] >= maxPerName:
		return statusPeerBusy, ErrPeerBusy
	}
	if p.byAddr == nil {
		p.byAddr, p.byName = make(map[string]int), make(map[string]int)
	}
	p.taken++
	p.byAddr[addr]++
	p.byName[name]++
	return statusWelcome, nil
}

func (p *places) leave(peer Peer) {
	p.taken--
	release(p.byAddr, hostOf(peer.Addr))
	release(p.byName, peer.Kind.String()+" "+peer.Name)
}

func release(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// hostOf returns an address without its port, which differs from connection to
// connection.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// strangers are the connections in their handshake, the oldest first.
type strangers []stranger

type stranger struct {
	conn net.Conn
	host string
}

// add adds a connection. If there are then too many, it returns one to be closed:
// the oldest from the host that has most. So a host that opens connections and says
// nothing only displaces its own; others always get a place.
func (s *strangers) add(c net.Conn) (out net.Conn) {
	if len(*s) >= maxStrangers {
		counts := make(map[string]int)
		most := ""
		for _, k := range *s {
			if counts[k.host]++; counts[k.host] > counts[most] {
				most = k.host
			}
		}
		for _, k := range *s {
			if k.host == most {
				out = k.conn
				break
			}
		}
		s.remove(out)
	}
	*s = append(*s, stranger{c, hostOf(c.RemoteAddr())})
	return out
}

// remove removes a connection, if it is there.
func (s *strangers) remove(c net.Conn) {
	*s = slices.DeleteFunc(*s, func(k stranger) bool { return k.conn == c })
}
