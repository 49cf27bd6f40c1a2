package server

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"syscall"
	"time"

	"synod/protocol/resp"
	"synod/proxy/session"
	"synod/proxy/stats"
)

// section is one part of INFO. All describe this proxy, except Keyspace: that is the
// whole cluster's.
type section struct {
	name  string
	write func(srv *Server, w *infoWriter)
	// extra sections are shown only on request: by name, "all" or "everything".
	extra bool
}

var sections = []section{
	{name: "Server", write: infoServer},
	{name: "Clients", write: infoClients},
	{name: "Memory", write: infoMemory},
	{name: "Persistence", write: infoPersistence},
	{name: "Stats", write: infoStats},
	{name: "Replication", write: infoReplication},
	{name: "CPU", write: infoCPU},
	{name: "Modules", write: func(*Server, *infoWriter) {}},
	{name: "Commandstats", write: infoCommands, extra: true},
	{name: "Errorstats", write: infoErrors},
	{name: "Cluster", write: func(_ *Server, w *infoWriter) { w.put("cluster_enabled", 0) }},
	{name: "Keyspace", write: infoKeyspace},
}

// infoWriter writes the lines of INFO.
type infoWriter struct{ bytes.Buffer }

func (w *infoWriter) put(name string, value any) { fmt.Fprintf(w, "%s:%v\r\n", name, value) }

func (srv *Server) info(_ *session.Session, args [][]byte) *resp.Value {
	var w infoWriter
	w.WriteString("txt:")
	for i, sec := range chooseSections(args[1:]) {
		if i > 0 {
			w.WriteString("\r\n")
		}
		w.WriteString("# " + sec.name + "\r\n")
		sec.write(srv, &w)
	}
	return &resp.Value{Kind: resp.Verbatim, Str: w.Bytes()}
}

func (sec *section) isNamed(arg []byte) bool { return strings.EqualFold(sec.name, string(arg)) }

func chooseSections(names [][]byte) []section {
	var chosen []section
	for _, sec := range sections {
		wanted := len(names) == 0 && !sec.extra
		for _, name := range names {
			wanted = wanted || session.Is(name, "ALL") || session.Is(name, "EVERYTHING") ||
				(session.Is(name, "DEFAULT") && !sec.extra) || sec.isNamed(name)
		}
		if wanted {
			chosen = append(chosen, sec)
		}
	}
	return chosen
}

func infoServer(srv *Server, w *infoWriter) {
	now := time.Now()
	up := now.Sub(srv.born)
	executable, _ := os.Executable() // empty if the system does not say
	w.put("redis_version", session.RedisVersion)
	w.put("synod_version", srv.version)
	w.put("redis_git_sha1", "00000000")
	w.put("redis_git_dirty", 0)
	w.put("redis_build_id", "0")
	w.put("redis_mode", "standalone")
	w.put("os", osName())
	w.put("arch_bits", 32<<(^uint(0)>>63))
	w.put("monotonic_clock", "POSIX clock_gettime")
	w.put("multiplexing_api", "epoll")
	w.put("go_version", runtime.Version())
	w.put("process_id", os.Getpid())
	w.put("process_supervised", "no")
	w.put("run_id", srv.runID)
	w.put("tcp_port", srv.settings.port)
	w.put("server_time_usec", now.UnixMicro())
	w.put("uptime_in_seconds", int64(up.Seconds()))
	w.put("uptime_in_days", int64(up.Hours()/24))
	w.put("hz", 1)
	w.put("configured_hz", 1)
	w.put("lru_clock", now.Unix()&(1<<24-1))
	w.put("executable", executable)
	w.put("config_file", "")
	w.put("io_threads_active", 0)
}

func infoClients(srv *Server, w *infoWriter) {
	w.put("connected_clients", srv.sessions.Count())
	w.put("cluster_connections", 0)
	w.put("maxclients", srv.settings.MaxClients.Load())
	w.put("client_recent_max_input_buffer", 0)
	w.put("client_recent_max_output_buffer", 0)
	w.put("blocked_clients", 0)
	w.put("tracking_clients", 0)
	w.put("clients_in_timeout_table", 0)
}

func infoMemory(srv *Server, w *infoWriter) {
	m := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(m)
	used, mapped := m[0].Value.Uint64(), m[1].Value.Uint64()-m[2].Value.Uint64()
	clients, peak := srv.memory.Total()
	w.put("used_memory", used)
	w.put("used_memory_human", human(used))
	w.put("used_memory_rss", mapped)
	w.put("used_memory_rss_human", human(mapped))
	w.put("total_system_memory", systemMemory())
	w.put("total_system_memory_human", human(systemMemory()))
	w.put("maxmemory", *srv.settings.kept[keptMaxMemory].Load())
	w.put("maxmemory_policy", *srv.settings.kept[keptPolicy].Load())
	w.put("mem_fragmentation_ratio", fmt.Sprintf("%.2f", float64(mapped)/float64(max(used, 1))))
	w.put("mem_clients_normal", clients)
	w.put("mem_clients_peak", peak)
	w.put("mem_allocator", "go")
	w.put("active_defrag_running", 0)
	w.put("lazyfree_pending_objects", 0)
}

// infoPersistence shows that every acknowledged write is on disk.
func infoPersistence(srv *Server, w *infoWriter) {
	w.put("loading", 0)
	w.put("async_loading", 0)
	w.put("rdb_changes_since_last_save", 0)
	w.put("rdb_bgsave_in_progress", 0)
	w.put("rdb_last_save_time", srv.born.Unix())
	w.put("rdb_last_bgsave_status", "ok")
	w.put("aof_enabled", 1)
	w.put("aof_rewrite_in_progress", 0)
	w.put("aof_last_bgrewrite_status", "ok")
	w.put("aof_last_write_status", "ok")
}

func infoStats(srv *Server, w *infoWriter) {
	st := &srv.stats
	ops, in, out := st.PerSecond()
	_, byCode := st.Errors()
	var failures int64
	for _, n := range byCode {
		failures += n
	}
	w.put("total_connections_received", st.Connections.Since())
	w.put("total_commands_processed", st.Commands.Since())
	w.put("instantaneous_ops_per_sec", int64(ops))
	w.put("total_net_input_bytes", st.BytesIn.Since())
	w.put("total_net_output_bytes", st.BytesOut.Since())
	w.put("instantaneous_input_kbps", fmt.Sprintf("%.2f", in/1024))
	w.put("instantaneous_output_kbps", fmt.Sprintf("%.2f", out/1024))
	w.put("rejected_connections", st.Rejected.Since())
	w.put("evicted_keys", 0)
	w.put("evicted_clients", srv.memory.Evictions())
	w.put("pubsub_channels", 0)
	w.put("pubsub_patterns", 0)
	w.put("total_error_replies", failures)
	w.put("protocol_errors", st.ProtocolErrors.Since())
}

func infoReplication(srv *Server, w *infoWriter) {
	w.put("role", "master")
	w.put("connected_slaves", 0)
	w.put("master_failover_state", "no-failover")
	w.put("master_replid", srv.runID)
	w.put("master_replid2", strings.Repeat("0", 40))
	w.put("master_repl_offset", 0)
	w.put("second_repl_offset", -1)
	w.put("repl_backlog_active", 0)
}

func infoCPU(_ *Server, w *infoWriter) {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self) // cannot fail with these
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	seconds := func(t syscall.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }
	w.put("used_cpu_sys", seconds(self.Stime))
	w.put("used_cpu_user", seconds(self.Utime))
	w.put("used_cpu_sys_children", seconds(children.Stime))
	w.put("used_cpu_user_children", seconds(children.Utime))
}

func infoCommands(srv *Server, w *infoWriter) {
	commands := slices.SortedFunc(maps.Values(srv.commands), func(a, b *session.Command) int {
		return strings.Compare(a.Spec.FullName, b.Spec.FullName)
	})
	for _, c := range commands {
		var calls int64
		for i := range c.Counts {
			calls += c.Counts[i].Since()
		}
		if calls > 0 {
			w.put("cmdstat_"+c.Spec.FullName, fmt.Sprintf("calls=%d,failed_calls=%d", calls, calls-c.Counts[stats.OK].Since()))
		}
	}
}

func infoErrors(srv *Server, w *infoWriter) {
	codes, n := srv.stats.Errors()
	for _, code := range codes {
		w.put("errorstat_"+code, fmt.Sprintf("count=%d", n[code]))
	}
}

// infoKeyspace shows about how many keys each database has, unless it is empty.
func infoKeyspace(srv *Server, w *infoWriter) {
	now := time.Now().UnixMilli()
	for db, t := range srv.backend.Census(srv.stop) {
		if t.Keys == 0 {
			continue
		}
		ttl := int64(0)
		if t.Expiring > 0 {
			ttl = max(0, t.Expiry-now)
		}
		w.put(fmt.Sprintf("db%d", db), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", t.Keys, t.Expiring, ttl))
	}
}

// human prints a number of bytes as Redis does.
func human(n uint64) string {
	units := "BKMGTP"
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%dB", n)
	}
	return fmt.Sprintf("%.2f%c", f, units[i])
}

// newRunID returns 40 random hexadecimal digits.
func newRunID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func systemMemory() uint64 {
	var si syscall.Sysinfo_t
	if syscall.Sysinfo(&si) != nil {
		return 0
	}
	return uint64(si.Totalram) * uint64(si.Unit)
}

func osName() string {
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return runtime.GOOS
	}
	text := func(field []int8) string {
		b := make([]byte, 0, len(field))
		for _, c := range field {
			if c == 0 {
				break
			}
			b = append(b, byte(c))
		}
		return string(b)
	}
	return text(u.Sysname[:]) + " " + text(u.Release[:]) + " " + text(u.Machine[:])
}
