package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"synod/protocol/budget"
	"synod/proxy/stats"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("synod_proxy_"+name, help, labels, nil)
}

var (
	descCommands = desc("commands_total", "Commands by name and how they ended.", "command", "outcome")
	descDepth    = desc("batch_commands", "Commands of one connection that were run together.")
	descUnknown  = desc("unknown_commands_total", "Requests that named no command or had a wrong number of arguments.")
	descProtocol = desc("protocol_errors_total", "Connections that were closed for malformed requests.")
	descClients  = desc("clients", "Connected clients.")
	descAccepted = desc("connections_total", "Connections that were accepted.")
	descRejected = desc("connections_rejected_total", "Connections beyond maxclients.")
	descEvicted  = desc("clients_evicted_total", "Clients that were disconnected because all together held too much memory.")
	descBuffers  = desc("client_buffer_bytes", "Memory that the buffers of all clients hold.")
	descIn       = desc("received_bytes_total", "Bytes read from clients.")
	descMemory   = desc("memory_bytes", "Memory that large requests, and large replies of nodes, hold, as far as it has been collected.", "of")
	descWaits    = desc("memory_waits_total", "Large requests and replies that waited for memory.", "of")
	descNoRoom   = desc("memory_refused_total", "Large requests and replies that got none.", "of")
	descLimit    = desc("memory_limit_bytes", "Memory that the proxy may take in all.")
	descOut      = desc("sent_bytes_total", "Bytes written to clients.")
)

// Describe and Collect make the server a prometheus.Collector.
func (srv *Server) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descCommands, descDepth, descUnknown, descProtocol, descClients, descAccepted,
		descRejected, descEvicted, descBuffers, descIn, descOut, descMemory, descWaits, descNoRoom, descLimit,
	} {
		ch <- d
	}
}

// Collect sends the server's metrics.
func (srv *Server) Collect(ch chan<- prometheus.Metric) {
	st := &srv.stats
	for _, c := range srv.commands {
		for o := range c.Counts {
			if n := c.Counts[o].Total(); n > 0 {
				ch <- prometheus.MustNewConstMetric(descCommands, prometheus.CounterValue, float64(n), c.Spec.FullName, stats.Outcome(o).String())
			}
		}
	}
	for d, c := range map[*prometheus.Desc]*stats.Counter{
		descUnknown: &st.Unknown, descProtocol: &st.ProtocolErrors, descAccepted: &st.Connections,
		descRejected: &st.Rejected, descIn: &st.BytesIn, descOut: &st.BytesOut,
	} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(c.Total()))
	}
	held, _ := srv.memory.Total()
	ch <- prometheus.MustNewConstMetric(descClients, prometheus.GaugeValue, float64(srv.sessions.Count()))
	ch <- prometheus.MustNewConstMetric(descBuffers, prometheus.GaugeValue, float64(held))
	ch <- prometheus.MustNewConstMetric(descEvicted, prometheus.CounterValue, float64(srv.memory.Evictions()))
	ch <- srv.depth()
	if srv.shares.Limit > 0 {
		srv.shares.collect(ch)
	}
}

func (m Memory) collect(ch chan<- prometheus.Metric) {
	for of, share := range map[string]*budget.Share{"requests": m.Requests, "replies": m.Replies} {
		used, waited, refused := share.Stats()
		ch <- prometheus.MustNewConstMetric(descMemory, prometheus.GaugeValue, float64(used), of)
		ch <- prometheus.MustNewConstMetric(descWaits, prometheus.CounterValue, float64(waited), of)
		ch <- prometheus.MustNewConstMetric(descNoRoom, prometheus.CounterValue, float64(refused), of)
	}
	ch <- prometheus.MustNewConstMetric(descLimit, prometheus.GaugeValue, float64(m.Limit))
}

// depth is the histogram of batch sizes, with buckets 1, 2, 4, … 4096.
func (srv *Server) depth() prometheus.Metric {
	buckets, batches := srv.stats.Batches()
	return prometheus.MustNewConstHistogram(descDepth, batches, float64(srv.stats.Commands.Total()), buckets)
}
