package server

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"synod/protocol/partition"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/str"
	"synod/proxy/respio"
	"synod/proxy/session"
)

const (
	defaultMaxClients = 10000
	defaultBulkLimit  = 512 << 20 // bytes; proto-max-bulk-len can only be lowered
	defaultQueryLimit = 1 << 30   // bytes
)

// settings are what CONFIG shows and changes. They apply to this proxy until its
// process ends; permanent ones are its flags. Parameters of Redis that do not exist
// here are shown with the value that describes Synod; those that applications often
// set can be changed, without an effect.
type settings struct {
	session.Settings
	memory *respio.Memory
	port   string
	host   string

	memoryLimit atomic.Int64 // maxmemory-clients, bytes
	timeout     atomic.Int64 // seconds until an idle client is closed; 0: never

	kept [keptSettings]atomic.Pointer[string]
}

// The settings that have no effect.
const (
	keptEvents = iota
	keptMaxMemory
	keptPolicy
	keptSlowlogTime
	keptSlowlogLength
	keptLatency
	keptSettings
)

func (st *settings) init(listen net.Addr, memory *respio.Memory, o Options) {
	st.memory = memory
	if host, port, err := net.SplitHostPort(listen.String()); err == nil {
		st.host, st.port = host, port
	}
	st.BulkLimit.Store(defaultBulkLimit)
	st.QueryLimit.Store(defaultQueryLimit)
	st.memoryLimit.Store(o.Memory.clients())
	st.MaxClients.Store(defaultMaxClients)
	if o.MaxClients > 0 {
		st.MaxClients.Store(int64(o.MaxClients))
	}
	st.SetPassword(o.Password)
	for i, v := range [keptSettings]string{
		keptMaxMemory: "0", keptPolicy: "noeviction", keptSlowlogTime: "10000", keptSlowlogLength: "128", keptLatency: "0",
	} {
		st.kept[i].Store(&v)
	}
}

// parameter is one setting. set checks a value and returns a function that applies
// it, or what is wrong with it. A parameter without set cannot be changed.
type parameter struct {
	name string
	get  func(*settings) string
	set  setter
}

type setter func(st *settings, value string) (apply func(), problem string)

// parameters are all parameters, by name.
var parameters = []parameter{
	fixed("appendfsync", "always"),
	fixed("appendonly", "yes"),
	{name: "bind", get: func(st *settings) string { return st.host }},
	{name: "client-output-buffer-limit", get: showOutputLimit, set: setOutputLimit},
	numeric("client-query-buffer-limit", 1<<20, math.MaxInt64, true, func(st *settings) *atomic.Int64 { return &st.QueryLimit }),
	fixed("cluster-enabled", "no"),
	fixed("databases", strconv.Itoa(partition.Databases)),
	fixed("io-threads", "1"),
	keep("latency-monitor-threshold", keptLatency, checkNumber(0, math.MaxInt64)),
	numeric("maxclients", 1, math.MaxUint32, false, func(st *settings) *atomic.Int64 { return &st.MaxClients }),
	keep("maxmemory", keptMaxMemory, checkMemory),
	{name: "maxmemory-clients", get: func(st *settings) string { return itoa(st.memoryLimit.Load()) }, set: setClientMemory},
	keep("maxmemory-policy", keptPolicy, checkPolicy),
	keep("notify-keyspace-events", keptEvents, checkEvents),
	{name: "port", get: func(st *settings) string { return st.port }},
	{name: "proto-max-bulk-len", get: func(st *settings) string { return itoa(st.BulkLimit.Load()) }, set: setBulkLimit},
	{name: "requirepass", get: func(st *settings) string { return st.Password() }, set: func(st *settings, value string) (func(), string) {
		return func() { st.SetPassword(value) }, ""
	}},
	fixed("save", ""),
	keep("slowlog-log-slower-than", keptSlowlogTime, checkNumber(-1, math.MaxInt64)),
	keep("slowlog-max-len", keptSlowlogLength, checkNumber(0, math.MaxInt64)),
	fixed("tcp-keepalive", "300"),
	numeric("timeout", 0, math.MaxInt32, false, func(st *settings) *atomic.Int64 { return &st.timeout }),
}

func fixed(name, value string) parameter {
	return parameter{name: name, get: func(*settings) string { return value }}
}

// setBulkLimit bounds arguments, and also the strings that APPEND and SETRANGE build.
// The latter applies to all proxies of one process.
func setBulkLimit(st *settings, value string) (func(), string) {
	n, problem := parseNumber(value, 1<<20, defaultBulkLimit, true)
	return func() { st.BulkLimit.Store(n); str.SetMaxSize(n) }, problem
}

// numeric is a parameter with a number, or a size in bytes, that has an effect.
func numeric(name string, low, high int64, memory bool, field func(*settings) *atomic.Int64) parameter {
	return parameter{
		name: name,
		get:  func(st *settings) string { return itoa(field(st).Load()) },
		set: func(st *settings, value string) (func(), string) {
			n, problem := parseNumber(value, low, high, memory)
			return func() { field(st).Store(n) }, problem
		},
	}
}

// keep is a parameter without an effect. normal brings its value into Redis's form.
func keep(name string, i int, normal func(string) (string, string)) parameter {
	return parameter{
		name: name,
		get:  func(st *settings) string { return *st.kept[i].Load() },
		set: func(st *settings, value string) (func(), string) {
			value, problem := normal(value)
			return func() { st.kept[i].Store(&value) }, problem
		},
	}
}

func parseNumber(value string, low, high int64, memory bool) (int64, string) {
	n, ok := int64(0), false
	if memory {
		if n, ok = parseMemory(value); !ok {
			return 0, "argument must be a memory value"
		}
	} else if n, ok = number.ParseInt([]byte(value)); !ok {
		return 0, "argument couldn't be parsed into an integer"
	}
	if n < low || n > high {
		return 0, fmt.Sprintf("argument must be between %d and %d inclusive", low, high)
	}
	return n, ""
}

// parseMemory reads a size as Redis's memtoull does: "1gb" is 1<<30, "1g" is
// 10^9.
func parseMemory(value string) (int64, bool) {
	digits := strings.TrimRight(strings.ToLower(value), "bkmg")
	unit, ok := map[string]int64{
		"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30,
	}[strings.ToLower(value[len(digits):])]
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil || n > uint64(math.MaxInt64/unit) {
		return 0, false
	}
	return int64(n) * unit, true
}

func checkNumber(low, high int64) func(string) (string, string) {
	return func(value string) (string, string) {
		n, problem := parseNumber(value, low, high, false)
		return itoa(n), problem
	}
}

func checkMemory(value string) (string, string) {
	n, problem := parseNumber(value, 0, math.MaxInt64, true)
	return itoa(n), problem
}

var policies = []string{
	"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
	"allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
}

func checkPolicy(value string) (string, string) {
	for _, p := range policies {
		if strings.EqualFold(p, value) {
			return p, ""
		}
	}
	return "", "argument(s) must be one of the following: " + strings.Join(policies, ", ")
}

// checkEvents brings the classes of keyspace events into Redis's form: "A" for all of
// eventsOfA, which hides "n".
func checkEvents(value string) (string, string) {
	const eventsOfA = "g$lshzxetd"
	for _, c := range value {
		if !strings.ContainsRune("AKEmn"+eventsOfA, c) {
			return "", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
		}
	}
	shown := ""
	for _, c := range eventsOfA {
		if strings.ContainsRune(value, c) || strings.Contains(value, "A") {
			shown += string(c)
		}
	}
	if shown == eventsOfA {
		shown = "A"
	} else if strings.Contains(value, "n") {
		shown += "n"
	}
	for _, c := range "KEm" {
		if strings.ContainsRune(value, c) {
			shown += string(c)
		}
	}
	return shown, ""
}

func setClientMemory(st *settings, value string) (func(), string) {
	n, ok := parseMemory(value)
	if !ok {
		return nil, "argument must be a memory or percent value"
	}
	return func() {
		st.memoryLimit.Store(n)
		st.memory.SetLimit(n)
	}, ""
}

func showOutputLimit(st *settings) string {
	return "normal " + itoa(st.OutputLimit.Load()) + " 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
}

// setOutputLimit sets the hard limit of normal clients; there are no other classes,
// and no soft limits. With zero, the default, a client that does not read is not
// disconnected: its commands wait.
func setOutputLimit(st *settings, value string) (func(), string) {
	words := strings.Fields(value)
	if len(words)%4 != 0 || len(words) == 0 {
		return nil, "Wrong number of arguments in buffer limit configuration."
	}
	limit := st.OutputLimit.Load()
	for ; len(words) > 0; words = words[4:] {
		normal, ok := session.ClientType([]byte(words[0]))
		if !ok || strings.EqualFold(words[0], "master") {
			return nil, "Invalid client class specified in buffer limit configuration."
		}
		hard, ok1 := parseMemory(words[1])
		_, ok2 := parseMemory(words[2])
		seconds, ok3 := number.ParseInt([]byte(words[3]))
		if !ok1 || !ok2 || !ok3 || seconds < 0 {
			return nil, "Error in hard, soft or soft_seconds setting in buffer limit configuration."
		}
		if normal {
			limit = hard
		}
	}
	return func() { st.OutputLimit.Store(limit) }, ""
}
