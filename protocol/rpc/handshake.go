package rpc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"synod/protocol/wire"
)

// Kind says what a peer is.
type Kind uint8

// The kinds of peers.
const (
	Proxy Kind = iota + 1
	Node
	Tool
)

func (k Kind) String() string {
	switch k {
	case Proxy:
		return "proxy"
	case Node:
		return "node"
	case Tool:
		return "tool"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Peer is who is at the other end of a session.
type Peer struct {
	Kind Kind
	Name string
	Addr net.Addr
}

func (p Peer) String() string { return fmt.Sprintf("%s %q at %s", p.Kind, p.Name, p.Addr) }

const (
	magic = "SYNOD"
	// helloHead is the length of a hello without its body.
	helloHead = len(magic) + 3
	// maxName bounds the names of peers and clusters, in bytes.
	maxName = 255
	// handshakeTimeout bounds the time from a connection to a session.
	handshakeTimeout = 5 * time.Second
)

// The status in a server's hello; a client's is zero.
const (
	statusWelcome = iota
	statusCluster // the client belongs to another cluster
	statusBusy    // the server takes no more sessions
)

// hello is one side's part of the handshake.
type hello struct {
	status  byte
	kind    Kind
	cluster string
	name    string
}

func (h hello) append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, wire.Version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(4+len(h.cluster)+len(h.name)))
	dst = append(dst, h.status, byte(h.kind), byte(len(h.cluster)))
	dst = append(dst, h.cluster...)
	dst = append(dst, byte(len(h.name)))
	return append(dst, h.name...)
}

// readHello reads a hello: all of it, also of one of another version, so that
// the peer sees the answer and not a reset for bytes that nobody read.
func readHello(r *bufio.Reader) (hello, error) {
	var head [helloHead]byte
	if _, err := io.ReadFull(r, head[:len(magic)]); err != nil {
		return hello{}, err
	}
	if string(head[:len(magic)]) != magic {
		return hello{}, ErrNotSynod
	}
	if _, err := io.ReadFull(r, head[len(magic):]); err != nil {
		return hello{}, err
	}
	body := make([]byte, binary.BigEndian.Uint16(head[len(magic)+1:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return hello{}, err
	}
	if v := int(head[len(magic)]); v != wire.Version {
		return hello{}, &VersionError{Ours: wire.Version, Theirs: v}
	}
	h, ok := parseHello(body)
	if !ok {
		return hello{}, fmt.Errorf("malformed hello: %w", ErrNotSynod)
	}
	return h, nil
}

func parseHello(b []byte) (h hello, ok bool) {
	if len(b) < 2 {
		return hello{}, false
	}
	h.status, h.kind = b[0], Kind(b[1])
	b = b[2:]
	for _, field := range []*string{&h.cluster, &h.name} {
		if len(b) == 0 || len(b) <= int(b[0]) {
			return hello{}, false
		}
		n := 1 + int(b[0])
		*field, b = string(b[1:n]), b[n:]
	}
	return h, len(b) == 0
}

// greet is the dialling side of the handshake.
func greet(c *conn, o *Options) (Peer, error) {
	us := hello{kind: o.Kind, cluster: o.Cluster, name: o.Name}
	if _, err := c.Conn.Write(us.append(nil)); err != nil {
		return Peer{}, err
	}
	them, err := readHello(c.in)
	if err != nil {
		return Peer{}, explain(err)
	}
	switch {
	case them.status == statusCluster || them.cluster != o.Cluster:
		return Peer{}, &ClusterError{Ours: o.Cluster, Theirs: them.cluster}
	case them.status == statusBusy:
		return Peer{}, ErrBusy
	case them.status != statusWelcome:
		return Peer{}, fmt.Errorf("status %d in hello: %w", them.status, ErrNotSynod)
	case o.Expect != "" && them.name != o.Expect:
		return Peer{}, &PeerError{Want: o.Expect, Got: them.name}
	}
	return Peer{Kind: them.kind, Name: them.name, Addr: c.RemoteAddr()}, nil
}

// welcome is the accepting side of the handshake. Whoever speaks the protocol
// gets an answer, the refused too. enter takes a place for the session, if there
// is one.
func welcome(c *conn, o *Options, enter func() bool) (Peer, error) {
	us := hello{kind: o.Kind, cluster: o.Cluster, name: o.Name}
	them, err := readHello(c.in)
	peer := Peer{Kind: them.kind, Name: them.name, Addr: c.RemoteAddr()}
	switch _, otherVersion := err.(*VersionError); {
	case otherVersion:
	case err != nil:
		return peer, explain(err)
	case them.cluster != o.Cluster:
		us.status, err = statusCluster, &ClusterError{Ours: o.Cluster, Theirs: them.cluster}
	case !enter():
		us.status, err = statusBusy, ErrBusy
	}
	if _, werr := c.Conn.Write(us.append(nil)); err == nil {
		err = werr
	}
	return peer, err
}
