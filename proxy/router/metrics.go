package router

import "github.com/prometheus/client_golang/prometheus"

var bytesDesc = prometheus.NewDesc("synod_node_bytes_total",
	"Bytes sent to and received from storage nodes, what framing adds included.", []string{"direction"}, nil)

var outagesDesc = prometheus.NewDesc("synod_proxy_groups_down",
	"Groups of storage nodes known to have no quorum: commands on their slots are answered CLUSTERDOWN at once.", nil, nil)

// collector shows a router's counters to Prometheus.
type collector struct{ router *Router }

// NewCollector returns a collector of the router's counters.
func NewCollector(r *Router) prometheus.Collector { return collector{r} }

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- bytesDesc
	ch <- outagesDesc
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	t := &c.router.traffic
	ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.CounterValue, float64(t.Sent.Load()), "sent")
	ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.CounterValue, float64(t.Received.Load()), "received")
	ch <- prometheus.MustNewConstMetric(outagesDesc, prometheus.GaugeValue, float64(c.router.Outages()))
}
