package server

import (
	"strconv"
	"time"

	"synod/protocol/resp"
	"synod/proxy/session"
)

// bindings has the handlers of the commands about the server.
func (srv *Server) bindings() session.Bindings {
	return session.Bindings{
		"config|get":       {Run: srv.configGet},
		"config|resetstat": {Run: srv.configResetStat, Waits: true},
		"config|rewrite":   {Run: configRewrite},
		"config|set":       {Run: srv.configSet},
		"info":             {Run: srv.info, Waits: true},
		"lolwut":           {Run: srv.lolwut},
		"time":             {Run: timeNow},
		"wait":             {Run: srv.wait, Waits: true},

		"dbsize":    {Run: srv.dbSize, Waits: true},
		"flushall":  {Run: srv.flushAll, Waits: true},
		"flushdb":   {Run: srv.flushDB, Waits: true},
		"keys":      {Run: srv.keys, Waits: true},
		"randomkey": {Run: srv.randomKey, Waits: true},
		"scan":      {Run: srv.scan, Waits: true},
	}
}

func timeNow(*session.Session, [][]byte) *resp.Value {
	now := time.Now().UnixMicro()
	return resp.List(*resp.Text(itoa(now / 1e6)), *resp.Text(itoa(now % 1e6)))
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
