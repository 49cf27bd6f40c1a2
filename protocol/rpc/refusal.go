package rpc

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/protocol/throttle"
)

// Refusal is why a connection did not become a session.
type Refusal uint8

// The refusals.
const (
	RefusedOther    Refusal = iota
	RefusedProtocol         // it does not speak Synod's protocol
	RefusedVersion          // of another version of the protocol
	RefusedCluster          // of another cluster
	RefusedSecret           // it did not prove that it knows the cluster's secret
	RefusedNoSecret         // this side does not know it yet
	RefusedBusy             // as many sessions as there may be
	RefusedSilent           // it said nothing, or not in time
	Refusals
)

var refusalNames = [Refusals]string{"other", "protocol", "version", "cluster", "secret", "no_secret", "busy", "silent"}

func (r Refusal) String() string { return refusalNames[r] }

func refusalOf(err error) Refusal {
	var version *VersionError
	var cluster *ClusterError
	switch {
	case errors.Is(err, ErrNotSynod):
		return RefusedProtocol
	case errors.As(err, &version):
		return RefusedVersion
	case errors.As(err, &cluster):
		return RefusedCluster
	case errors.Is(err, ErrSecret):
		return RefusedSecret
	case errors.Is(err, ErrNoSecret):
		return RefusedNoSecret
	case errors.Is(err, ErrBusy), errors.Is(err, ErrPeerBusy):
		return RefusedBusy
	case errors.Is(err, ErrSilent), errors.Is(err, ErrHungUp), errors.Is(err, ErrClosed):
		return RefusedSilent
	}
	return RefusedOther
}

// refusals counts and reports them.
type refusals struct {
	counts [Refusals]atomic.Uint64
	lines  throttle.Lines
}

// refused reports a connection that did not become a session. Repeated refusals for
// the same reason are logged only once in a while, and port checks not at all.
func (v *Server) refused(c net.Conn, err error) {
	why := refusalOf(err)
	v.refusals.counts[why].Add(1)
	level := zap.WarnLevel
	if why == RefusedNoSecret {
		level = zap.InfoLevel // this side is just starting, or the cluster is not initialised yet
	}
	if errors.Is(err, ErrHungUp) || (why == RefusedOther || why == RefusedSilent) && v.isClosed() {
		level = zap.DebugLevel
	}
	suppressed, write := v.refusals.lines.Next(hostOf(c.RemoteAddr())+" "+level.String()+" "+why.String(), time.Now())
	if !write {
		return
	}
	fields := []zap.Field{zap.Stringer("from", c.RemoteAddr()), zap.Error(err)}
	if suppressed > 0 {
		fields = append(fields, zap.Int("more_before", suppressed))
	}
	v.opt.Log.Log(level, "refused a connection", fields...)
}

// Refused returns how many connections were refused for a reason.
func (v *Server) Refused(why Refusal) uint64 { return v.refusals.counts[why].Load() }
