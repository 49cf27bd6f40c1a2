package storaged

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"synod/protocol/caspaxos/message"
	"synod/protocol/rpc"
	"synod/storaged/changelog"
)

const (
	kinds    = int(message.KindAccept) + 1
	outcomes = int(message.Unreachable) + 1
)

var (
	kindNames    = [kinds]string{"", "read", "prepare", "accept"}
	outcomeNames = [outcomes]string{
		"", "promised", "told", "nacked", "acked", "stale_base", "intent_met", "led",
		"wrong_epoch", "clock_ahead", "busy", "disk_full", "unreachable",
	}
)

// count counts a request that was answered.
func (l *lane) count(k message.Kind, o message.Outcome) {
	if int(k) < kinds && int(o) < outcomes {
		l.counts[k][o].Add(1)
	}
}

// metrics is what the node shows on /metrics. Counters of the hot path belong to
// lanes and are summed up on each scrape.
type metrics struct {
	daemon *Daemon

	batchSize prometheus.Histogram
	syncTime  prometheus.Histogram
	syncSize  prometheus.Histogram
}

func newMetrics(d *Daemon) *metrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "synod_node_" + name, Help: help, Buckets: buckets})
	}
	powers := prometheus.ExponentialBuckets(1, 2, 12)
	return &metrics{
		daemon:    d,
		batchSize: histogram("batch_requests", "Requests that a lane worked on at once.", powers),
		syncTime:  histogram("sync_seconds", "Time to write and sync the changelog.", prometheus.ExponentialBuckets(20e-6, 2, 16)),
		syncSize:  histogram("sync_entries", "Changelog entries that shared a sync.", powers),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.batchSize, m.syncTime, m.syncSize, m}
}

func (m *metrics) batch(n int) { m.batchSize.Observe(float64(n)) }

func (m *metrics) synced(s changelog.Synced) {
	m.syncTime.Observe(s.Took.Seconds())
	m.syncSize.Observe(float64(s.Entries))
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("synod_node_"+name, help, labels, nil)
}

var (
	descRequests = desc("requests_total", "Requests answered, by kind and outcome.", "kind", "outcome")
	descQueue    = desc("lane_queue", "Requests that wait for a lane.", "lane")
	descPromises = desc("promises", "Promises held in memory.")
	descSessions = desc("sessions", "Sessions open.")
	descRefused  = desc("refused_connections_total", "Connections that did not become sessions.", "reason")
	descStreams  = desc("streams", "Large states that are being sent or wait for it.")
	descDropped  = desc("replies_dropped_total", "Frames of replies dropped because their session had too much waiting to be sent.")
	descStagings = desc("stagings", "Large states that are coming in.")
	descReady    = desc("ready", "Whether the node can do its work.")

	descHits        = desc("cache_hits_total", "Registers found in memory.")
	descMisses      = desc("cache_misses_total", "Registers looked up on disk.")
	descCacheBytes  = desc("cache_bytes", "Memory of the cache of hot registers.")
	descCacheCount  = desc("cache_entries", "Registers in the cache.")
	descApplied     = desc("store_batches_total", "Batches brought to the store behind the changelog.")
	descLogBytes    = desc("changelog_bytes_total", "Bytes written to the changelog.")
	descUnsynced    = desc("changelog_unsynced_bytes", "Bytes appended to the changelog and not yet durable.")
	descPosition    = desc("changelog_position", "Entries of the changelog that are durable.")
	descFree        = desc("disk_free_bytes", "Room on the disk of the data directory, with what the node has reserved for itself.")
	descMinFree     = desc("disk_min_free_bytes", "Room that the node keeps free: with less, it refuses what adds.")
	descRoom        = desc("disk_room", "What there is room for: 0 everything, 1 what makes less of the data and what a quorum needs, 2 only the former, 3 nothing.")
	descPebbleBytes = desc("store_bytes", "Size of the store on disk.")
	descCompactions = desc("store_compactions_total", "Compactions of the store.")
	descReadAmp     = desc("store_read_amplification", "Levels that a read of the store may have to visit.")
	descFlushes     = desc("range_tombstones", "Flush votes in force.")
	descMemory      = desc("memory_bytes", "Memory that large messages of peers hold, as far as it has been collected.")
	descMemoryWaits = desc("memory_waits_total", "Large messages that waited for memory.")
	descNoRoom      = desc("memory_refused_total", "Large messages that got none.")
	descLimit       = desc("memory_limit_bytes", "Memory that the node may take in all.")
	descStaged      = desc("staged_bytes_total", "Bytes of large states brought to the store before they were voted for.")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descRequests, descQueue, descPromises, descSessions, descRefused, descStreams, descDropped, descStagings, descReady,
		descHits, descMisses, descCacheBytes,
		descCacheCount, descApplied, descLogBytes, descUnsynced, descPosition, descFree, descMinFree, descRoom, descPebbleBytes,
		descCompactions, descReadAmp, descFlushes, descStaged,
		descMemory, descMemoryWaits, descNoRoom, descLimit,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(c chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	m.collectLanes(counter, gauge)
	s := m.daemon.engine.Stats()
	counter(descHits, float64(s.Hits))
	counter(descMisses, float64(s.Misses))
	gauge(descCacheBytes, float64(s.CacheBytes))
	gauge(descCacheCount, float64(s.CacheEntries))
	counter(descApplied, float64(s.Batches))
	counter(descLogBytes, float64(s.LogBytes))
	gauge(descUnsynced, float64(s.UnsyncedBytes))
	counter(descPosition, float64(s.Position))
	gauge(descFree, float64(s.FreeBytes))
	gauge(descMinFree, float64(s.MinFreeBytes))
	gauge(descRoom, float64(s.Room))
	gauge(descPebbleBytes, float64(s.PebbleBytes))
	counter(descCompactions, float64(s.Compactions))
	gauge(descReadAmp, float64(s.ReadAmp))
	gauge(descFlushes, float64(s.Flushes))
	counter(descStaged, float64(s.StagedBytes))
	if memory := m.daemon.cfg.Memory; memory.Limit > 0 {
		used, waited, refused := memory.Frames.Stats()
		gauge(descMemory, float64(used))
		counter(descMemoryWaits, float64(waited))
		counter(descNoRoom, float64(refused))
		gauge(descLimit, float64(memory.Limit))
	}
	counter(descDropped, float64(m.daemon.dropped.Load()))
}

func (m *metrics) collectLanes(counter, gauge func(*prometheus.Desc, float64, ...string)) {
	d := m.daemon
	var sums [kinds][outcomes]uint64
	var promises int64
	for _, l := range d.lanes {
		gauge(descQueue, float64(l.depth.Load()), strconv.Itoa(l.number))
		promises += l.held.Load()
		for k := range sums {
			for o := range sums[k] {
				sums[k][o] += l.counts[k][o].Load()
			}
		}
	}
	for k := range sums {
		for o, n := range sums[k] {
			if n > 0 {
				counter(descRequests, float64(n), kindNames[k], outcomeNames[o])
			}
		}
	}
	gauge(descPromises, float64(promises))
	d.sessMu.Lock()
	sessions := len(d.sessions)
	d.sessMu.Unlock()
	gauge(descSessions, float64(sessions))
	for why := range rpc.Refusals {
		counter(descRefused, float64(d.server.Refused(why)), why.String())
	}
	outgoing, _ := d.outgoing.Open()
	gauge(descStreams, float64(outgoing))
	gauge(descStagings, float64(d.incoming.len()))
	ready := 0.0
	if d.ready() == nil {
		ready = 1
	}
	gauge(descReady, ready)
}
