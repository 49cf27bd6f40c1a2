package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// shop is an application on go-redis.
type shop struct {
	*redis.Client
	t       *testing.T
	ctx     context.Context
	answers int
}

// goRedis runs the application with a version of the protocol.
func goRedis(t *testing.T, addrs []string, protocol, database int) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	named := false
	s := &shop{t: t, ctx: ctx, Client: redis.NewClient(&redis.Options{
		Addr: addrs[0], Protocol: protocol, DB: database, ClientName: "shop", PoolSize: 8, MinIdleConns: 2,
		OnConnect: func(ctx context.Context, c *redis.Conn) error {
			name, err := c.ClientGetName(ctx).Result()
			named = name == "shop"
			return err
		},
	})}
	defer func() { _ = s.Close() }()
	is(s, "flush", "OK")(s.FlushDB(ctx).Result())
	for _, part := range []func(){
		s.connect, s.strings, s.hashes, s.lists, s.sets, s.sortedSets, s.streams, s.sketches, s.keys, s.pipelines, s.failures,
	} {
		part()
	}
	s.everyProxy(addrs)
	if !named {
		t.Error("no connection had its name")
	}
	t.Logf("%d answers are right", s.answers)
}

// is checks an answer: is(s, "what", wanted)(call()).
func is[T any](s *shop, what string, want T) func(got T, err error) {
	return func(got T, err error) {
		s.t.Helper()
		if s.answers++; err != nil || !reflect.DeepEqual(got, want) {
			s.t.Errorf("%s: got %#v, %v; want %#v", what, got, err, want)
		}
	}
}

func (s *shop) fine(what string, err error) {
	s.t.Helper()
	is(s, what, error(nil))(err, nil)
}

func (s *shop) connect() {
	is(s, "ping", "PONG")(s.Ping(s.ctx).Result())
	is(s, "echo", "a b")(s.Echo(s.ctx, "a b").Result())
	info, err := s.Info(s.ctx, "server").Result()
	is(s, "info", true)(strings.Contains(info, "redis_version:"), err)
	now, err := s.Time(s.ctx).Result()
	is(s, "time", true)(time.Since(now).Abs() < time.Hour, err)
	commands, err := s.Command(s.ctx).Result()
	is(s, "command", int8(-4))(commands["zadd"].Arity, err)
}

func (s *shop) strings() {
	ctx := s.ctx
	binary := string([]byte{0, 1, 2, 0xff, '\r', '\n', 0})
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	for _, v := range []string{"", "text", "日本", binary, big} {
		is(s, "set", "OK")(s.Set(ctx, "s", v, 0).Result())
		is(s, "get", v)(s.Get(ctx, "s").Result())
	}
	is(s, "getrange", big[1<<20:1<<20+20])(s.GetRange(ctx, "s", 1<<20, 1<<20+19).Result())
	is(s, "set nx", false)(s.SetNX(ctx, "s", "other", time.Minute).Result())
	is(s, "set xx", true)(s.SetXX(ctx, "s", "10", time.Hour).Result())
	is(s, "ttl", true)(s.TTL(ctx, "s").Val() > 50*time.Minute, nil)
	is(s, "incr", int64(15))(s.IncrBy(ctx, "s", 5).Result())
	is(s, "incrbyfloat", 15.5)(s.IncrByFloat(ctx, "s", 0.5).Result())
	is(s, "getset", "15.5")(s.SetArgs(ctx, "s", "x", redis.SetArgs{Get: true, KeepTTL: true}).Result())
	is(s, "append", int64(3))(s.Append(ctx, "s", "yz").Result())
	is(s, "mget", []any{"xyz", nil})(s.MGet(ctx, "s", "none").Result())
	is(s, "getdel", "xyz")(s.GetDel(ctx, "s").Result())
	is(s, "setbit", int64(0))(s.SetBit(ctx, "bits", 1000, 1).Result())
	is(s, "bitcount", int64(1))(s.BitCount(ctx, "bits", nil).Result())
	is(s, "bitfield", []int64{0, 9})(s.BitField(ctx, "bits", "SET", "u8", 0, 4, "INCRBY", "u8", 0, 5).Result())
}

func (s *shop) hashes() {
	ctx := s.ctx
	type cart struct {
		Owner string  `redis:"owner"`
		Items int     `redis:"items"`
		Total float64 `redis:"total"`
	}
	want := cart{"ann", 3, 19.5}
	is(s, "hset", int64(3))(s.HSet(ctx, "cart", want).Result())
	var have cart
	s.fine("scan into a struct", s.HGetAll(ctx, "cart").Scan(&have))
	is(s, "struct", want)(have, nil)
	is(s, "hgetall", map[string]string{"owner": "ann", "items": "3", "total": "19.5"})(s.HGetAll(ctx, "cart").Result())
	is(s, "hgetall of nothing", map[string]string{})(s.HGetAll(ctx, "none").Result())
	is(s, "hmget", []any{"ann", nil})(s.HMGet(ctx, "cart", "owner", "none").Result())
	is(s, "hincrby", int64(4))(s.HIncrBy(ctx, "cart", "items", 1).Result())
	is(s, "hincrbyfloat", 20.75)(s.HIncrByFloat(ctx, "cart", "total", 1.25).Result())
	field, err := s.HRandFieldWithValues(ctx, "cart", 10).Result()
	is(s, "hrandfield", 3)(len(field), err)
	is(s, "hdel", int64(1))(s.HDel(ctx, "cart", "total", "none").Result())

	wanted := map[string]string{}
	for i := range 2000 {
		wanted[fmt.Sprintf("field%d", i)] = strings.Repeat("v", i%100)
	}
	is(s, "hset of many", int64(2000))(s.HSet(ctx, "big", wanted).Result())
	is(s, "hgetall of many", wanted)(s.HGetAll(ctx, "big").Result())
	found := map[string]string{}
	it := s.HScan(ctx, "big", 0, "field*", 100).Iterator()
	for it.Next(ctx) {
		field := it.Val()
		it.Next(ctx)
		found[field] = it.Val()
	}
	is(s, "hscan", wanted)(found, it.Err())
}

func (s *shop) lists() {
	ctx := s.ctx
	is(s, "rpush", int64(3))(s.RPush(ctx, "queue", "a", "b", "c").Result())
	is(s, "lpush", int64(4))(s.LPush(ctx, "queue", "\x00").Result())
	is(s, "lrange", []string{"\x00", "a", "b", "c"})(s.LRange(ctx, "queue", 0, -1).Result())
	is(s, "lpos", int64(2))(s.LPos(ctx, "queue", "b", redis.LPosArgs{}).Result())
	is(s, "linsert", int64(5))(s.LInsertAfter(ctx, "queue", "b", "b2").Result())
	is(s, "lpop", []string{"\x00", "a"})(s.LPopCount(ctx, "queue", 2).Result())
	is(s, "rpop", "c")(s.RPop(ctx, "queue").Result())
	is(s, "lindex", "b2")(s.LIndex(ctx, "queue", -1).Result())
	is(s, "lset", "OK")(s.LSet(ctx, "queue", 0, "first").Result())
	is(s, "ltrim", "OK")(s.LTrim(ctx, "queue", 0, 0).Result())
	is(s, "lrem", int64(1))(s.LRem(ctx, "queue", 0, "first").Result())
	is(s, "llen", int64(0))(s.LLen(ctx, "queue").Result())
}

func (s *shop) sets() {
	ctx := s.ctx
	is(s, "sadd", int64(3))(s.SAdd(ctx, "red", "apple", "cherry", "rose").Result())
	is(s, "sadd", int64(2))(s.SAdd(ctx, "fruit", "apple", "banana").Result())
	is(s, "sinter", []string{"apple"})(s.SInter(ctx, "red", "fruit").Result())
	is(s, "sdiff", []string{"banana"})(s.SDiff(ctx, "fruit", "red").Result())
	union, err := s.SUnion(ctx, "red", "fruit").Result()
	slices.Sort(union)
	is(s, "sunion", []string{"apple", "banana", "cherry", "rose"})(union, err)
	is(s, "sintercard", int64(1))(s.SInterCard(ctx, 0, "red", "fruit").Result())
	is(s, "smembers", map[string]struct{}{"apple": {}, "banana": {}})(s.SMembersMap(ctx, "fruit").Result())
	is(s, "smismember", []bool{true, false})(s.SMIsMember(ctx, "red", "rose", "banana").Result())
	popped, err := s.SPopN(ctx, "red", 10).Result()
	is(s, "spop", 3)(len(popped), err)
	is(s, "exists", int64(0))(s.Exists(ctx, "red").Result())
	var many []any
	for i := range 3000 {
		many = append(many, fmt.Sprint("member", i))
	}
	is(s, "sadd of many", int64(3000))(s.SAdd(ctx, "many", many...).Result())
	found := map[string]bool{}
	it := s.SScan(ctx, "many", 0, "", 500).Iterator()
	for it.Next(ctx) {
		found[it.Val()] = true
	}
	is(s, "sscan", 3000)(len(found), it.Err())
}

func (s *shop) sortedSets() {
	ctx := s.ctx
	is(s, "zadd", int64(3))(s.ZAdd(ctx, "board", redis.Z{Score: 10, Member: "ann"}, redis.Z{Score: 20.5, Member: "bob"}, redis.Z{Score: -1, Member: "eve"}).Result())
	is(s, "zadd gt ch", int64(1))(s.ZAddArgs(ctx, "board", redis.ZAddArgs{GT: true, Ch: true, Members: []redis.Z{{Score: 15, Member: "ann"}, {Score: -5, Member: "eve"}}}).Result())
	is(s, "zincrby", 21.0)(s.ZIncrBy(ctx, "board", 0.5, "bob").Result())
	is(s, "zrange", []redis.Z{{Score: 21, Member: "bob"}, {Score: 15, Member: "ann"}, {Score: -1, Member: "eve"}})(s.ZRevRangeWithScores(ctx, "board", 0, -1).Result())
	is(s, "zrangebyscore", []string{"ann"})(s.ZRangeArgs(ctx, redis.ZRangeArgs{Key: "board", Start: "(-1", Stop: "+inf", ByScore: true, Count: 1}).Result())
	is(s, "zrank", int64(1))(s.ZRank(ctx, "board", "ann").Result())
	is(s, "zscore", 15.0)(s.ZScore(ctx, "board", "ann").Result())
	is(s, "zcount", int64(2))(s.ZCount(ctx, "board", "0", "inf").Result())
	is(s, "zadd", int64(1))(s.ZAdd(ctx, "bonus", redis.Z{Score: 100, Member: "ann"}).Result())
	is(s, "zinter", []redis.Z{{Score: 115, Member: "ann"}})(s.ZInterWithScores(ctx, &redis.ZStore{Keys: []string{"board", "bonus"}}).Result())
	is(s, "zunion", []string{"eve", "bob", "ann"})(s.ZUnion(ctx, redis.ZStore{Keys: []string{"board", "bonus"}}).Result())
	is(s, "zpopmin", []redis.Z{{Score: -1, Member: "eve"}})(s.ZPopMin(ctx, "board").Result())
	is(s, "geoadd", int64(2))(s.GeoAdd(ctx, "shops", &redis.GeoLocation{Name: "Palermo", Longitude: 13.361389, Latitude: 38.115556}, &redis.GeoLocation{Name: "Catania", Longitude: 15.087269, Latitude: 37.502669}).Result())
	is(s, "geodist", 166.2742)(s.GeoDist(ctx, "shops", "Palermo", "Catania", "km").Result())
	is(s, "geosearch", []string{"Catania", "Palermo"})(s.GeoSearch(ctx, "shops", &redis.GeoSearchQuery{Longitude: 15, Latitude: 37, Radius: 200, RadiusUnit: "km", Sort: "ASC"}).Result())
}

func (s *shop) streams() {
	ctx := s.ctx
	is(s, "xgroup create", "OK")(s.XGroupCreateMkStream(ctx, "orders", "billing", "$").Result())
	for i := range 5 {
		id := fmt.Sprintf("%d-0", i+1)
		is(s, "xadd", id)(s.XAdd(ctx, &redis.XAddArgs{Stream: "orders", ID: id, Values: []any{"n", i}}).Result())
	}
	first := redis.XMessage{ID: "1-0", Values: map[string]any{"n": "0"}}
	is(s, "xrange", []redis.XMessage{first})(s.XRangeN(ctx, "orders", "-", "+", 1).Result())
	read, err := s.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "billing", Consumer: "one", Streams: []string{"orders", ">"}, Count: 3, Block: -1}).Result()
	is(s, "xreadgroup", 3)(len(read[0].Messages), err)
	is(s, "xack", int64(1))(s.XAck(ctx, "orders", "billing", "1-0").Result())
	pending, err := s.XPending(ctx, "orders", "billing").Result()
	is(s, "xpending", map[string]int64{"one": 2})(pending.Consumers, err)
	claimed, next, err := s.XAutoClaim(ctx, &redis.XAutoClaimArgs{Stream: "orders", Group: "billing", Consumer: "two", Start: "0", Count: 1}).Result()
	is(s, "xautoclaim", "3-0")(next, err)
	is(s, "xautoclaim", 1)(len(claimed), err)
	groups, err := s.XInfoGroups(ctx, "orders").Result()
	is(s, "xinfo groups", int64(2))(groups[0].Pending, err)
	consumers, err := s.XInfoConsumers(ctx, "orders", "billing").Result()
	is(s, "xinfo consumers", 2)(len(consumers), err)
	full, err := s.XInfoStreamFull(ctx, "orders", 10).Result()
	is(s, "xinfo stream", int64(5))(full.Length, err)
	streams, err := s.XReadStreams(ctx, "orders", "3-0").Result()
	is(s, "xread", 2)(len(streams[0].Messages), err)
	is(s, "xtrim", int64(3))(s.XTrimMaxLen(ctx, "orders", 2).Result())
	if _, err := s.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "billing", Consumer: "one", Streams: []string{"orders", ">"}, Block: -1}).Result(); err != nil {
		s.t.Error(err)
	}
	_, err = s.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "billing", Consumer: "one", Streams: []string{"orders", ">"}, Block: -1}).Result()
	is(s, "nothing new", true)(errors.Is(err, redis.Nil), nil)
}

func (s *shop) sketches() {
	var visitors []any
	for i := range 1000 {
		visitors = append(visitors, i)
	}
	is(s, "pfadd", int64(1))(s.PFAdd(s.ctx, "visitors", visitors...).Result())
	n, err := s.PFCount(s.ctx, "visitors").Result()
	is(s, "pfcount", true)(n > 970 && n < 1030, err)
}

func (s *shop) keys() {
	ctx := s.ctx
	is(s, "expire", true)(s.Expire(ctx, "board", time.Hour).Result())
	is(s, "expire nx", false)(s.ExpireNX(ctx, "board", time.Hour).Result())
	is(s, "persist", true)(s.Persist(ctx, "board").Result())
	is(s, "type", "zset")(s.Type(ctx, "board").Result())
	is(s, "object encoding", "listpack")(s.ObjectEncoding(ctx, "board").Result())
	dump, err := s.Dump(ctx, "board").Result()
	is(s, "restore", "OK")(s.RestoreReplace(ctx, "copy", 0, dump).Result())
	is(s, "copy", s.ZRangeWithScores(ctx, "board", 0, -1).Val())(s.ZRangeWithScores(ctx, "copy", 0, -1).Result())
	s.fine("dump", err)
	is(s, "rpush", int64(3))(s.RPush(ctx, "unsorted", 3, 1, 2).Result())
	is(s, "sort", []string{"3", "2", "1"})(s.SortRO(ctx, "unsorted", &redis.Sort{Order: "DESC"}).Result())
	found, it := map[string]bool{}, s.Scan(ctx, 0, "", 3).Iterator()
	for it.Next(ctx) {
		found[it.Val()] = true
	}
	wanted, err := s.Keys(ctx, "*").Result()
	slices.Sort(wanted)
	is(s, "keys", slices.Sorted(maps.Keys(found)))(wanted, errors.Join(err, it.Err()))
	is(s, "dbsize", int64(len(wanted)))(s.DBSize(ctx).Result())
	is(s, "unlink", int64(1))(s.Unlink(ctx, "copy", "none").Result())
}

// pipelines uses the pool from many goroutines, each with pipelines.
func (s *shop) pipelines() {
	const workers, rounds = 16, 20
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for range rounds {
				var hits *redis.IntCmd
				cmds, err := s.Pipelined(s.ctx, func(p redis.Pipeliner) error {
					hits = p.Incr(s.ctx, "hits")
					p.HIncrBy(s.ctx, "by", fmt.Sprint(w), 1)
					p.ZIncrBy(s.ctx, "rank", 1, fmt.Sprint(w))
					p.Get(s.ctx, "none")
					return nil
				})
				if !errors.Is(err, redis.Nil) || len(cmds) != 4 || hits.Val() < 1 {
					s.t.Errorf("pipeline: %v %v", cmds, err)
				}
			}
		})
	}
	all.Wait()
	is(s, "hits", fmt.Sprint(workers*rounds))(s.Get(s.ctx, "hits").Result())
	is(s, "by", int64(workers))(s.HLen(s.ctx, "by").Result())
	is(s, "rank", float64(rounds))(s.ZScore(s.ctx, "rank", "3").Result())
}

func (s *shop) failures() {
	_, err := s.LPush(s.ctx, "hits", 1).Result()
	is(s, "wrong type", "WRONGTYPE Operation against a key holding the wrong kind of value")(fmt.Sprint(err), nil)
	_, err = s.Do(s.ctx, "nosuch", "x").Result()
	is(s, "no such command", "ERR unknown command 'nosuch', with args beginning with: 'x' ")(fmt.Sprint(err), nil)
	_, err = s.Get(s.ctx, "none").Bytes()
	is(s, "nil", true)(errors.Is(err, redis.Nil), nil)
	_, err = s.ZAdd(s.ctx, "board", redis.Z{Score: 1}).Result()
	s.fine("empty member", err)
	raw, err := s.Do(s.ctx, "HGETALL", "by").Result()
	if s.Options().Protocol == 3 {
		_, isMap := raw.(map[any]any)
		is(s, "a map", true)(isMap, err)
	}
}

// everyProxy reads by one proxy what was written by another.
func (s *shop) everyProxy(addrs []string) {
	value := bytes.Repeat([]byte{0, 0xff}, 1000)
	for _, writer := range addrs {
		w := redis.NewClient(&redis.Options{Addr: writer, DB: s.Options().DB, Protocol: s.Options().Protocol})
		is(s, "set", "OK")(w.Set(s.ctx, "by "+writer, value, 0).Result())
		for _, reader := range addrs {
			r := redis.NewClient(&redis.Options{Addr: reader, DB: s.Options().DB})
			is(s, "get", value)(r.Get(s.ctx, "by "+writer).Bytes())
			_ = r.Close()
		}
		_ = w.Close()
	}
}
