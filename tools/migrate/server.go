package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"synod/proxy/datatype/rdb"
)

// patience limits the wait for one reply.
const patience = time.Minute

// databases is the usual number of databases in a Redis, and the number in a
// cluster.
const databases = 16

// dial returns a client of one database of a server. It does not retry: the
// caller knows better which commands may be repeated.
func (s *Server) dial(db int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Addr, Username: s.User, Password: s.Password, DB: db,
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 1, ReadTimeout: patience, WriteTimeout: patience,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// clients are the connections to a server, one for each database.
type clients struct {
	server *Server
	open   map[int]*redis.Client
}

func (c *clients) of(db int) *redis.Client {
	if c.open[db] == nil {
		c.open[db] = c.server.dial(db)
	}
	return c.open[db]
}

func (c *clients) close() error {
	var err error
	for _, one := range c.open {
		err = errors.Join(err, one.Close())
	}
	return err
}

// refused reports whether the server replied with an error, so it is reachable.
func refused(err error) bool {
	var said redis.Error
	return errors.As(err, &said) && !errors.Is(err, redis.Nil)
}

// serverSource walks over the databases of a server by SCAN.
type serverSource struct {
	config *Config
	clients
	at    position
	keys  int64 // in all databases, at the start of the walk
	seen  int64
	page  []string // keys of the current page that are still to be read
	after position // position after that page
	// relative: the server does not support PEXPIRETIME.
	relative bool
}

func openServer(ctx context.Context, c *Config, st *state) (*serverSource, error) {
	s := &serverSource{config: c, clients: clients{server: c.From, open: map[int]*redis.Client{}}, at: st.At}
	if err := s.prepare(ctx, st); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.From.Addr, err), s.clients.close())
	}
	s.after = s.at
	s.seen = st.Tally.Copied + st.Tally.Skipped + st.Tally.Gone + st.Tally.Failed
	return s, nil
}

// prepare counts the keys, and checks whether an earlier run's cursor belongs
// to the current process of the server.
func (s *serverSource) prepare(ctx context.Context, st *state) error {
	life, err := s.life(ctx)
	if err != nil {
		return err
	}
	if st.begun() && life != st.Source && s.at.Cursor != 0 {
		s.config.note("%s was restarted since: database %d is copied from its beginning", s.config.From.Addr, s.at.DB)
		s.at.Cursor = 0
	}
	st.Source = life
	for db := range databases {
		if !s.config.wants(db) {
			continue
		}
		n, err := s.of(db).DBSize(ctx).Result()
		if refused(err) && db > 0 && len(s.config.DBs) == 0 {
			break // the server has fewer
		}
		if err != nil {
			return err
		}
		s.keys += n
	}
	return nil
}

// life identifies the server's process, if it can. A cluster has none, because
// its cursors stay valid.
func (s *serverSource) life(ctx context.Context) (string, error) {
	info, err := s.of(s.firstDB()).Info(ctx, "server").Result()
	if refused(err) {
		return "", nil
	}
	if err != nil || s.config.From.Cluster {
		return "", err
	}
	_, rest, _ := strings.Cut(info, "run_id:")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id, nil
}

func (s *serverSource) firstDB() int {
	if len(s.config.DBs) > 0 {
		return s.config.DBs[0]
	}
	return 0
}

func (s *serverSource) total() (int64, bool) { return s.keys, false }

func (s *serverSource) next(ctx context.Context) (batch, error) {
	if len(s.page) == 0 {
		if err := s.scan(ctx); err != nil {
			return batch{}, err
		}
	}
	n := min(len(s.page), batchKeys)
	var b batch
	err := persist(ctx, func() (err error) {
		b.items, err = s.read(ctx, s.at.DB, s.page[:n])
		return err
	})
	if err != nil {
		return batch{}, fmt.Errorf("%s: %w", s.config.From.Addr, err)
	}
	s.page = s.page[len(b.items):]
	if b.partial = len(s.page) > 0; !b.partial {
		s.at = s.after
		b.after = s.after
	}
	s.seen += int64(len(b.items))
	b.done = s.seen
	return b, nil
}

// scan fetches the next page of keys.
func (s *serverSource) scan(ctx context.Context) error {
	for {
		for s.at.DB < databases && !s.config.wants(s.at.DB) {
			s.at = position{DB: s.at.DB + 1}
		}
		if s.at.DB >= databases {
			return io.EOF
		}
		var keys []string
		var cursor uint64
		err := persist(ctx, func() (err error) {
			keys, cursor, err = s.of(s.at.DB).Scan(ctx, s.at.Cursor, s.config.Pattern, 2*batchKeys).Result()
			return err
		})
		if refused(err) && s.at.DB > 0 && len(s.config.DBs) == 0 {
			return io.EOF // no more databases
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.config.From.Addr, err)
		}
		s.after = position{DB: s.at.DB, Cursor: cursor}
		if cursor == 0 {
			s.after = position{DB: s.at.DB + 1}
		}
		slices.Sort(keys)
		if s.page = slices.Compact(keys); len(s.page) > 0 {
			return nil
		}
		s.at = s.after
	}
}

// read dumps the next keys, as many as fit into a batch.
func (s *serverSource) read(ctx context.Context, db int, keys []string) ([]item, error) {
	var items []item
	const group = 32 // limits how many large values arrive together
	bytes := 0
	for len(keys) > 0 && bytes < batchBytes {
		n := min(len(keys), group)
		some, err := s.dump(ctx, db, keys[:n])
		if err != nil {
			return nil, err
		}
		for _, it := range some {
			bytes += len(it.Value)
		}
		items, keys = append(items, some...), keys[n:]
	}
	return items, nil
}

// dump fetches values and their expiries.
func (s *serverSource) dump(ctx context.Context, db int, keys []string) ([]item, error) {
	p := s.of(db).Pipeline()
	dumps, times := make([]*redis.StringCmd, len(keys)), make([]*redis.Cmd, len(keys))
	command := "PEXPIRETIME"
	if s.relative {
		command = "PTTL"
	}
	for i, k := range keys {
		dumps[i], times[i] = p.Dump(ctx, k), p.Do(ctx, command, k)
	}
	if _, err := p.Exec(ctx); err != nil && !refused(err) && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	items := make([]item, len(keys))
	for i, k := range keys {
		it := item{DB: db, Key: []byte(k)}
		ms, err := times[i].Int64()
		if refused(err) && !s.relative {
			s.relative = true // older than 7.0
			return s.dump(ctx, db, keys)
		}
		if err == nil && ms > 0 {
			if it.Expiry = ms; s.relative {
				it.Expiry += time.Now().UnixMilli()
			}
		}
		payload, dumpErr := dumps[i].Bytes()
		switch {
		case errors.Is(dumpErr, redis.Nil) || ms == -2: // gone in the meantime
		case err != nil || dumpErr != nil:
			it.Err = errors.Join(dumpErr, err)
		default:
			it.Value, it.Err = rdb.Open(payload)
		}
		items[i] = it
	}
	return items, nil
}
