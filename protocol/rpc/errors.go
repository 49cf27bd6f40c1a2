package rpc

import (
	"errors"
	"fmt"

	"synod/protocol/caspaxos/ballot"
)

// Why a session did not come about, or ended.
var (
	// ErrNotSynod: what the peer sent is not this protocol.
	ErrNotSynod = errors.New("the peer does not speak Synod's protocol")
	// ErrBusy: the server has its maximum of sessions.
	ErrBusy = errors.New("the server takes no more sessions")
	// ErrPeerBusy: the server has its maximum of sessions of this peer.
	ErrPeerBusy = errors.New("the server takes no more sessions of this peer")
	// ErrSecret: the two sides do not share a secret: one of them is a stranger, or was
	// configured with the wrong one.
	ErrSecret = errors.New("wrong cluster secret: the two sides do not have the same")
	// ErrNoSecret: the cluster's secret is not known yet.
	ErrNoSecret = errors.New("the cluster's secret is not known yet")
	// ErrClosed: this side closed the session.
	ErrClosed = errors.New("session closed")
	// ErrHungUp: the peer closed the session, or its process ended.
	ErrHungUp = errors.New("the peer hung up")
	// ErrSilent: nothing came from the peer for too long.
	ErrSilent = errors.New("the peer does not answer")
	// ErrServerClosed is what Serve returns after Close.
	ErrServerClosed = errors.New("server closed")
)

// ErrNotTheNode says that a storage node is not, or no longer, the one that a proxy
// knows by that name: it runs on another data directory, on a copy that is not the
// one last started, or on one that lacks acknowledged writes.
var ErrNotTheNode = errors.New("the node is not, or is behind, the one known by that name")

// ProposerError says that a node does not admit a proposer id: another start of a
// proxy uses it, or may use it.
type ProposerError struct{ ID, Highest ballot.ProposerID }

func (e *ProposerError) Error() string {
	return fmt.Sprintf("proposer id %d belongs to another start of a proxy; the highest known to the node is %d", e.ID, e.Highest)
}

// ErrBacklog is returned by Send when the peer does not keep up. The payload was not
// queued.
var ErrBacklog = errors.New("too much is waiting to be sent")

// VersionError says that the two sides speak different versions of the
// protocol.
type VersionError struct{ Ours, Theirs int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the peer speaks protocol version %d, this is version %d", e.Theirs, e.Ours)
}

// ClusterError says that the peer belongs to another cluster.
type ClusterError struct{ Ours, Theirs string }

func (e *ClusterError) Error() string {
	return fmt.Sprintf("the peer belongs to cluster %q, this is cluster %q", e.Theirs, e.Ours)
}

// PeerError says that an unexpected peer listens at an address.
type PeerError struct{ Want, Got string }

func (e *PeerError) Error() string {
	return fmt.Sprintf("the peer is %q, not %q", e.Got, e.Want)
}

// SizeError says that a payload is larger than its class allows. It was to be sent,
// or announced by the peer; the latter ends the session.
type SizeError struct {
	Class       Class
	Size, Limit int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("a payload of %d bytes where %s allow %d", e.Size, e.Class, e.Limit)
}

// ChecksumError says that a payload was altered on its way. It ends the session.
type ChecksumError struct {
	Class     Class
	Size      int
	Got, Want uint32
}

func (e *ChecksumError) Error() string {
	return fmt.Sprintf("a payload of %d bytes (%s) has checksum %08x, not %08x", e.Size, e.Class, e.Got, e.Want)
}
