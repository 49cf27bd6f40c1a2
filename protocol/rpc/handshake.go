package rpc

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
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

// Peer is the other end of a session. It has proved that it knows the cluster's
// secret; its name is not proved.
type Peer struct {
	Kind Kind
	Name string
	Addr net.Addr

	Claim identity.Claim // of a client: the proposer id that it took
	Seen  Mark           // of a client: what it has seen of this server before
	Self  Mark           // of a server: how far it had come when it started
}

// Mark is how far a node had come at some time, and on which data directory. The
// zero Mark means unknown.
type Mark struct {
	Store uint64
	identity.Mark
}

func (p Peer) String() string { return fmt.Sprintf("%s %q at %s", p.Kind, p.Name, p.Addr) }

const (
	magic = "SYNOD"
	// helloHead is the length of a hello without its body.
	helloHead = len(magic) + 3
	// helloBody bounds the body of a hello of this version: strangers send it.
	helloBody = 4 << 10
	// maxName bounds the names of peers and clusters, in bytes.
	maxName = 255
	// handshakeTimeout bounds the time from a connection to a session.
	handshakeTimeout = 5 * time.Second
)

// The status in a hello. That of a client's first is zero.
const (
	statusWelcome  = iota
	statusCluster  // the client belongs to another cluster
	statusBusy     // the server takes no more sessions
	statusSecret   // the peer does not know the sender's secret
	statusNoSecret // the server does not know the cluster's secret yet
	statusPeerBusy // the server takes no more sessions of this peer
	statusProposer // the client's proposer id belongs to another
	statusNode     // the server is not, or is behind, what the client has seen of it
)

// The fields of a hello. A reader skips those that it does not know, so fields
// may be added within a version where nothing depends on their being read.
const (
	fieldKind    = iota + 1 // 1 byte
	fieldCluster            // the cluster's name
	fieldName               // the sender's
	fieldNonce              // 32 bytes that the sender has never used before
	fieldSecrets            // ids of the secrets that the sender knows; of the one that it takes
	fieldProof              // that the sender knows the secret
	fieldClaim              // proposer id (4), number of the start that took it (8)
	fieldSeen               // a Mark: what a client has seen of the server
	fieldSelf               // a Mark: what a server is
	fieldHighest            // the highest proposer id that the server has met (4)
)

// hello is a message of the handshake. What is zero is not sent.
type hello struct {
	status  byte
	kind    Kind
	cluster string
	name    string
	nonce   []byte
	secrets []secretID
	proof   []byte
	claim   identity.Claim
	seen    Mark
	self    Mark
	highest ballot.ProposerID
}

func (h *hello) append(dst []byte) []byte {
	head := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, wire.Version, 0, 0, h.status)
	if h.kind != 0 {
		dst = appendField(dst, fieldKind, []byte{byte(h.kind)})
	}
	dst = appendField(dst, fieldCluster, h.cluster)
	dst = appendField(dst, fieldName, h.name)
	dst = appendField(dst, fieldNonce, h.nonce)
	var ids []byte
	for _, id := range h.secrets {
		ids = append(ids, id[:]...)
	}
	dst = appendField(dst, fieldSecrets, ids)
	dst = appendField(dst, fieldProof, h.proof)
	if h.claim.Proposer != 0 {
		claim := binary.BigEndian.AppendUint32(nil, uint32(h.claim.Proposer))
		dst = appendField(dst, fieldClaim, binary.BigEndian.AppendUint64(claim, h.claim.Start))
	}
	dst = appendField(dst, fieldSeen, h.seen.encode())
	dst = appendField(dst, fieldSelf, h.self.encode())
	if h.highest != 0 {
		dst = appendField(dst, fieldHighest, binary.BigEndian.AppendUint32(nil, uint32(h.highest)))
	}
	binary.BigEndian.PutUint16(dst[head+helloHead-2:], uint16(len(dst)-head-helloHead))
	return dst
}

// markSize is the size of an encoded Mark.
const markSize = 4 * 8

func (m Mark) encode() []byte {
	if m == (Mark{}) {
		return nil
	}
	b := make([]byte, 0, markSize)
	for _, n := range []uint64{m.Store, m.Number, m.ID, m.Position} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func (m *Mark) decode(b []byte) bool {
	if len(b) != markSize {
		return false
	}
	for i, n := range []*uint64{&m.Store, &m.Number, &m.ID, &m.Position} {
		*n = binary.BigEndian.Uint64(b[8*i:])
	}
	return true
}

func appendField[T ~string | ~[]byte](dst []byte, field byte, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, field)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

// readHello reads a hello, and also returns its bytes, which proofs cover. A hello of
// another version is read to its end: unread bytes would reset the connection, and
// the peer would not see the answer.
func readHello(r *bufio.Reader) (h hello, raw []byte, err error) {
	head := make([]byte, helloHead, helloHead+256)
	if _, err := io.ReadFull(r, head[:len(magic)]); err != nil {
		return hello{}, nil, err
	}
	if string(head[:len(magic)]) != magic {
		return hello{}, nil, ErrNotSynod
	}
	if _, err := io.ReadFull(r, head[len(magic):]); err != nil {
		return hello{}, nil, err
	}
	size := int(binary.BigEndian.Uint16(head[len(magic)+1:]))
	if v := int(head[len(magic)]); v != wire.Version {
		if _, err := io.CopyN(io.Discard, r, int64(size)); err != nil {
			return hello{}, nil, err
		}
		return hello{}, nil, &VersionError{Ours: wire.Version, Theirs: v}
	}
	if size > helloBody {
		return hello{}, nil, fmt.Errorf("a hello of %d bytes: %w", size, ErrNotSynod)
	}
	raw = slices.Grow(head, size)[:helloHead+size]
	if _, err := io.ReadFull(r, raw[helloHead:]); err != nil {
		return hello{}, nil, err
	}
	h, ok := parseHello(raw[helloHead:])
	if !ok {
		return hello{}, nil, fmt.Errorf("malformed hello: %w", ErrNotSynod)
	}
	return h, raw, nil
}

func parseHello(b []byte) (h hello, ok bool) {
	if len(b) < 1 {
		return hello{}, false
	}
	h.status, b = b[0], b[1:]
	for last := byte(0); len(b) > 0; {
		if len(b) < 3 || b[0] <= last {
			return hello{}, false
		}
		end := 3 + int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < end || end == 3 || !h.set(b[0], b[3:end]) {
			return hello{}, false
		}
		last, b = b[0], b[end:]
	}
	return h, true
}

// set sets a field and reports whether its value is valid.
func (h *hello) set(field byte, value []byte) bool {
	switch field {
	case fieldKind:
		h.kind = Kind(value[0])
		return len(value) == 1 && h.kind != 0
	case fieldCluster:
		h.cluster = string(value)
		return len(value) <= maxName
	case fieldName:
		h.name = string(value)
		return len(value) <= maxName
	case fieldNonce:
		h.nonce = value
		return len(value) == nonceSize
	case fieldSecrets:
		for id := range slices.Chunk(value, len(secretID{})) {
			if len(id) < len(secretID{}) {
				return false
			}
			h.secrets = append(h.secrets, secretID(id))
		}
	case fieldProof:
		h.proof = value
		return len(value) == proofSize
	case fieldClaim:
		if len(value) != 12 {
			return false
		}
		h.claim = identity.Claim{Proposer: ballot.ProposerID(binary.BigEndian.Uint32(value)), Start: binary.BigEndian.Uint64(value[4:])}
		return h.claim.Proposer != 0
	case fieldSeen:
		return h.seen.decode(value)
	case fieldSelf:
		return h.self.decode(value)
	case fieldHighest:
		if len(value) != 4 {
			return false
		}
		h.highest = ballot.ProposerID(binary.BigEndian.Uint32(value))
	}
	return true
}

// introduction is how a side introduces itself.
func introduction(o *Options) hello {
	return hello{kind: o.Kind, cluster: o.Cluster, name: o.Name}
}

func newNonce() []byte {
	n := make([]byte, nonceSize)
	_, _ = rand.Read(n) // never fails, says its documentation
	return n
}

// say writes messages of the handshake with one call.
func say(c *conn, messages ...[]byte) error {
	_, err := c.Conn.Write(slices.Concat(messages...))
	return err
}

// greet is the dialling side of the handshake.
func greet(c *conn, o *Options) (Peer, error) {
	secrets := o.Secrets()
	if len(secrets) == 0 {
		return Peer{}, ErrNoSecret
	}
	us := introduction(o)
	us.nonce, us.secrets = newNonce(), idsOf(secrets)
	if o.Claim != nil {
		us.claim = o.Claim()
	}
	if o.Seen != nil {
		us.seen = o.Seen()
	}
	ours := us.append(nil)
	if err := say(c, ours); err != nil {
		return Peer{}, err
	}
	them, theirs, err := readHello(c.in)
	if err == nil {
		err = refusal(o, &them)
	}
	if err != nil {
		return Peer{}, explain(err)
	}
	secret := common(secrets, them.secrets)
	if secret == nil || them.nonce == nil {
		return Peer{}, fmt.Errorf("hello without nonce or secret: %w", ErrNotSynod)
	}
	proof, _, err := readHello(c.in)
	switch {
	case err != nil:
		return Peer{}, explain(err)
	case !secret.proves(serverProof, ours, theirs, proof.proof):
		_ = say(c, (&hello{status: statusSecret}).append(nil)) // the server is told why
		return Peer{}, ErrSecret
	case o.Expect != "" && them.name != o.Expect:
		return Peer{}, &PeerError{Want: o.Expect, Got: them.name}
	}
	if err := say(c, (&hello{proof: secret.proof(clientProof, ours, theirs)}).append(nil)); err != nil {
		return Peer{}, explain(err)
	}
	peer := Peer{Kind: them.kind, Name: them.name, Addr: c.RemoteAddr(), Self: them.self}
	verdict, _, err := readHello(c.in)
	switch {
	case err != nil:
	case verdict.status == statusProposer:
		err = &ProposerError{ID: us.claim.Proposer, Highest: verdict.highest}
	default:
		err = statusError(verdict.status)
	}
	if err == nil && o.Judge != nil {
		err = o.Judge(peer)
	}
	return peer, explain(err)
}

// refusal returns the error for a server's first hello that refuses the client.
func refusal(o *Options, them *hello) error {
	if them.status == statusCluster || them.cluster != o.Cluster {
		return &ClusterError{Ours: o.Cluster, Theirs: them.cluster}
	}
	return statusError(them.status)
}

// statusError is what a server's status means to a client.
func statusError(status byte) error {
	switch status {
	case statusWelcome:
		return nil
	case statusBusy:
		return ErrBusy
	case statusPeerBusy:
		return ErrPeerBusy
	case statusSecret:
		return ErrSecret
	case statusNoSecret:
		return fmt.Errorf("the peer says: %w", ErrNoSecret)
	case statusNode:
		return ErrNotTheNode
	}
	return fmt.Errorf("status %d in hello: %w", status, ErrNotSynod)
}

// welcome is the accepting side of the handshake. Every peer that speaks the protocol
// gets an answer, even if refused. enter takes a place for the session of an
// authenticated peer, or returns the status that refuses it.
func welcome(c *conn, o *Options, enter func(Peer) (status byte, err error)) (Peer, error) {
	us := introduction(o)
	them, theirs, err := readHello(c.in)
	peer := Peer{Kind: them.kind, Name: them.name, Addr: c.RemoteAddr(), Claim: them.claim, Seen: them.seen}
	var secret Secret
	switch _, otherVersion := err.(*VersionError); {
	case otherVersion:
	case err != nil:
		return peer, explain(err)
	default:
		us.status, secret, err = examine(o, &them)
	}
	if err != nil {
		_ = say(c, us.append(nil))
		return peer, err
	}
	us.nonce, us.secrets = newNonce(), []secretID{secret.id()}
	if o.Self != nil {
		us.self = o.Self()
	}
	ours := us.append(nil)
	proof := hello{proof: secret.proof(serverProof, theirs, ours)}
	if err := say(c, ours, proof.append(nil)); err != nil {
		return peer, explain(err)
	}
	answer, _, err := readHello(c.in)
	if err != nil {
		return peer, explain(err)
	}
	var verdict hello
	if answer.status == statusWelcome && secret.proves(clientProof, theirs, ours, answer.proof) {
		verdict.status, err = enter(peer)
		if taken := (*ProposerError)(nil); errors.As(err, &taken) {
			verdict.highest = taken.Highest
		}
	} else {
		verdict.status, err = statusSecret, ErrSecret
	}
	if werr := say(c, verdict.append(nil)); err == nil && werr != nil {
		err = explain(werr)
	}
	return peer, err
}

// examine decides whether a client's first hello is to be answered with a
// proof, and by which secret.
func examine(o *Options, them *hello) (status byte, _ Secret, _ error) {
	if them.cluster != o.Cluster {
		return statusCluster, nil, &ClusterError{Ours: o.Cluster, Theirs: them.cluster}
	}
	secrets := o.Secrets()
	if len(secrets) == 0 {
		return statusNoSecret, nil, ErrNoSecret
	}
	secret := common(secrets, them.secrets)
	if secret == nil || them.nonce == nil {
		return statusSecret, nil, ErrSecret
	}
	return statusWelcome, secret, nil
}
