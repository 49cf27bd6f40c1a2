package arch

// broken has sources that break a rule, and beside each one that keeps it.
var broken = []struct {
	rule, name string
	file       string
	bad, says  string
	good       string
	elsewhere  string // where good stands, if not in file
}{
	{
		"layers", "upwards", "protocol/wire/x.go",
		`package wire; import _ "synod/meta/store"`, "stands above it",
		`package wire; import _ "synod/protocol/caspaxos"`, "",
	},
	{
		"layers", "tests too", "proxy/router/x_test.go",
		`package router; import _ "synod/proxy/command"`, "stands above it",
		`package router; import _ "synod/protocol/rpc"`, "",
	},
	{
		"layers", "command imports front end", "proxy/command/x.go",
		`package command; import _ "synod/proxy"`, "stands above it",
		`package command; import _ "synod/proxy/datatype/str"`, "",
	},
	{
		"layers", "unknown", "proxy/elsewhere/x.go",
		`package elsewhere`, "has no layer",
		`package elsewhere`, "proxy/txn/x.go",
	},
	{
		"sides", "proxy imports storaged", "proxy/router/x.go",
		`package router; import _ "synod/storaged/engine"`, "what both need is in protocol",
		`package router; import _ "synod/protocol/rpc"`, "",
	},
	{
		"sides", "storaged imports proxy", "storaged/cmd/synod-storaged/x.go",
		`package main; import _ "synod/proxy/datatype/glob"`, "what both need is in protocol",
		`package main; import _ "synod/storaged"`, "",
	},
	{
		"owners of libraries", "pebble", "storaged/x.go",
		`package storaged; import _ "github.com/cockroachdb/pebble/v2/vfs"`, "durability rule",
		`package storaged; import _ "synod/storaged/engine"`, "",
	},
	{
		"owners of libraries", "etcd client", "proxy/x.go",
		`package proxy; import _ "go.etcd.io/etcd/client/v3"`, "schema in etcd",
		`package respio; import _ "github.com/tidwall/redcon"`, "proxy/respio/x.go",
	},
	{
		"owners of libraries", "redcon", "proxy/command/x.go",
		`package command; import _ "github.com/tidwall/redcon"`, "guard",
		`package command; import _ "github.com/tidwall/match"`, "",
	},
	{
		"owners of libraries", "yamux", "proxy/router/x.go",
		`package router; import _ "github.com/hashicorp/yamux"`, "session layer",
		`package router; import _ "math/rand/v2"`, "",
	},
	{
		"test doubles", "memstore", "storaged/x.go",
		`package storaged; import _ "synod/protocol/caspaxos/memstore"`, "no place in a program",
		`package storaged; import _ "synod/protocol/caspaxos"`, "",
	},
	{
		"test doubles", "testing", "storaged/x.go",
		`package storaged; import "testing"; var _ testing.TB`, "no place in a program",
		`package storaged`, "",
	},
	{
		"no I/O", "net", "protocol/caspaxos/x.go",
		`package caspaxos; import _ "net"`, "imports net",
		`package caspaxos; import _ "net/netip"`, "",
	},
	{
		"no I/O", "os", "protocol/caspaxos/x.go",
		`package caspaxos; import _ "os"`, "imports os",
		`package caspaxos; import _ "io"`, "",
	},
	{
		"no I/O", "go statement", "protocol/caspaxos/x.go",
		`package caspaxos; func f() { go f() }`, "starts a goroutine",
		`package caspaxos; func f() { defer f() }`, "",
	},
	{
		"no I/O", "WaitGroup.Go", "protocol/caspaxos/x.go",
		`package caspaxos; import "sync"; func f(g *sync.WaitGroup) { g.Go(nil) }`, "starts a goroutine",
		`package caspaxos; import "sync"; func f(g *sync.WaitGroup) { g.Done() }`, "",
	},
	{
		"no I/O", "clock", "protocol/caspaxos/x.go",
		`package caspaxos; import t "time"; var now = t.Now`, "time.Now",
		`package caspaxos; import t "time"; const limit = t.Second`, "",
	},
	{
		"package documentation", "none", "proxy/x.go",
		`package proxy`, "no documentation",
		"// Package proxy serves.\npackage proxy", "",
	},
	{
		"package documentation", "of a command", "tools/synodctl/x.go",
		"// This is a tool.\npackage main", "does not begin with",
		"// Command synodctl lays out clusters.\npackage main", "",
	},
	{
		"package names", "directory", "proxy/util/x.go",
		`package fine`, "name the noun",
		`package fine`, "proxy/utility/x.go",
	},
	{
		"package names", "clause", "proxy/x.go",
		`package helpers`, "name the noun",
		`package proxy`, "",
	},
	{
		"sizes", "file", "proxy/x.go",
		"package proxy" + lines(501), "501 lines, at most 500",
		"package proxy" + lines(500), "",
	},
	{
		"sizes", "test", "proxy/x_test.go",
		"package proxy" + lines(601), "601 lines, at most 600",
		"package proxy" + lines(600), "",
	},
	{
		"sizes", "function", "proxy/x.go",
		"package proxy\nfunc f() {" + lines(70) + "}", "71 lines, at most 70",
		"package proxy\nfunc f() {" + lines(69) + "}", "",
	},
	{
		"sizes", "table", "proxy/x.go",
		"package proxy\nfunc f() {\nx := []func(){func() {" + lines(70) + "}}\n_ = x}", "71 lines, at most 70",
		"package proxy\nfunc f() {\nx := []int{" + lines(200) + "}\n_ = x}", "",
	},
	{
		"sleep", "beside a bubble", "proxy/x_test.go",
		`package proxy; import ("testing/synctest"; "time"); func f(g func()) { synctest.Test(nil, g) }; func h(g func()) { time.Sleep(1); f(g) }`, "time.Sleep",
		`package proxy; import ("testing/synctest"; "time"); func f(g func()) { synctest.Test(nil, g) }; func h() { f(func() { time.Sleep(1) }) }`, "",
	},
	{
		"sleep", "in a test", "proxy/x_test.go",
		`package proxy; import "time"; func f() { time.Sleep(1) }`, "time.Sleep",
		`package proxy; import ("testing/synctest"; "time"); func f() { synctest.Test(nil, func(any) { time.Sleep(1) }) }`, "",
	},
	{
		"error texts", "searched", "proxy/x.go",
		`package proxy; import "strings"; func f(err error) bool { return strings.Contains(err.Error(), "refused") }`, "searched",
		`package proxy; import "strings"; func f(s string) bool { return strings.Contains(s, "refused") }`, "",
	},
	{
		"error texts", "compared", "proxy/x.go",
		`package proxy; func f(err error) bool { return err.Error() == "EOF" }`, "compared",
		`package proxy; func f(err error) string { return err.Error() }`, "",
	},
	{
		"global loggers", "zap", "proxy/x.go",
		`package proxy; import "go.uber.org/zap"; var log = zap.L()`, "passed down",
		`package proxy; import "go.uber.org/zap"; var log = zap.NewNop()`, "",
	},
	{
		"global loggers", "log", "proxy/x.go",
		`package proxy; import "log"; var p = log.Print`, "passed down",
		`package proxy`, "",
	},
}
