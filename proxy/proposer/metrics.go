package proposer

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"synod/protocol/caspaxos/counters"
)

var (
	roundsDesc   = prometheus.NewDesc("synod_rounds_total", "Consensus rounds of this proxy, by kind: read, blind and carried take one round trip, two_trip takes two; repair is a read that found no quorum of equal ballots; in_doubt is a round that ended without its Acks.", []string{"kind"}, nil)
	eventsDesc   = prometheus.NewDesc("synod_proposer_events_total", "What the proposers met: Nacks, hedged reads, extra reads for state, reads of large states that others did not wait for, members sent a state that they lacked or the changes that they had missed, replies ignored for their clock.", []string{"event"}, nil)
	failuresDesc = prometheus.NewDesc("synod_commands_failed_total", "Commands on registers that ended without a result.", []string{"reason"}, nil)
	batchDesc    = prometheus.NewDesc("synod_round_commands", "Commands combined in one round.", nil, nil)

	sendingDesc = prometheus.NewDesc("synod_large_sends", "Large changes under way to nodes, a change to two nodes counted twice: not answered yet.", nil, nil)
	heldDesc    = prometheus.NewDesc("synod_large_send_bytes", "Bytes of the large changes that have not been sent to their end yet.", nil, nil)
	sendsDesc   = prometheus.NewDesc("synod_large_sends_total", "Large changes to nodes, by what became of them: sent, if as far as the node wanted to have them; failed, as the connection ended or took nothing; refused, as too much was under way to the node; superseded by a later change while they waited.", []string{"outcome"}, nil)
)

// collector shows a pool's counters to Prometheus.
type collector struct{ pool *Pool }

// NewCollector returns a collector of the pool's counters.
func NewCollector(p *Pool) prometheus.Collector { return collector{p} }

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{roundsDesc, eventsDesc, failuresDesc, batchDesc, sendingDesc, heldDesc, sendsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, sends := c.pool.stats, &c.pool.deliveries
	count := func(d *prometheus.Desc, n *atomic.Uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.Load()), label)
	}
	count(roundsDesc, &s.Reads, "read")
	count(roundsDesc, &s.Blind, "blind")
	count(roundsDesc, &s.Piggybacked, "carried")
	count(roundsDesc, &s.TwoTrip, "two_trip")
	count(roundsDesc, &s.Repair, "repair")
	count(roundsDesc, &s.InDoubt, "in_doubt")
	count(eventsDesc, &s.Nacks, "nack")
	count(eventsDesc, &s.Hedged, "hedged_read")
	count(eventsDesc, &s.Fetches, "extra_read")
	count(eventsDesc, &s.Detached, "read_aside")
	count(eventsDesc, &s.Snapshots, "state_sent")
	count(eventsDesc, &s.DeltaRanges, "changes_sent")
	count(eventsDesc, &s.Parked, "parked")
	count(eventsDesc, &s.ClockAhead, "clock_ahead")
	count(failuresDesc, &s.Uncertain, "uncertain")
	count(failuresDesc, &s.NoQuorum, "no_quorum")
	count(failuresDesc, &s.Contention, "contention")
	count(failuresDesc, &s.DiskFull, "disk_full")
	count(failuresDesc, &s.Busy, "busy")
	count(sendsDesc, &sends.sent, "sent")
	count(sendsDesc, &sends.failed, "failed")
	count(sendsDesc, &sends.refused, "refused")
	count(sendsDesc, &sends.superseded, "superseded")
	_, held := sends.scheduler.Open()
	ch <- prometheus.MustNewConstMetric(sendingDesc, prometheus.GaugeValue, float64(sends.count.Load()))
	ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(held))
	ch <- batches(s)
}

// batches makes a histogram of the rounds' sizes.
func batches(s *counters.Stats) prometheus.Metric {
	buckets := make(map[float64]uint64, counters.BatchBuckets-1)
	var rounds uint64
	for i := range s.Batches {
		rounds += s.Batches[i].Load()
		if i < counters.BatchBuckets-1 {
			buckets[float64(int(1)<<i)] = rounds
		}
	}
	return prometheus.MustNewConstHistogram(batchDesc, rounds, float64(s.Commands.Load()), buckets)
}
