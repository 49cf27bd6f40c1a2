package process

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// item is an element of a collection with its data: the value of a hash field,
// the score of a sorted set member, or the ID of a stream entry.
type item struct{ element, note string }

// kind is a type of collection, with its client commands.
type kind struct {
	name   string
	add    func(c *redis.Client, key, element string) (note string, err error)
	remove func(c *redis.Client, key string, it item) (element string, err error) // returns "" if there was nothing
	incr   func(c *redis.Client, key, field string) (int64, error)                // nil: there is no such command
	fill   func(key string, items []item) []byte                                  // requests, one reply each
	size   func(c *redis.Client, key string) (int64, error)
	read   func(c *redis.Client, key string) ([]item, error)
	less   func(a, b item) bool // whether a may stand right before b
	look   func(p redis.Pipeliner, key string, all []item, at int) []answer
}

// answer is the expected reply to a read of a collection.
type answer struct {
	reply redis.Cmder
	want  string
}

func (a answer) got() string {
	text := a.reply.String()
	return text[strings.LastIndex(text, ": ")+2:]
}

var kinds = []*kind{&lists, &hashes, &sortedSets, &streams}

// counted distinguishes elements that are incremented from those that are
// added.
func counted(element string) bool { return strings.HasPrefix(element, "sum:") }

var lists = kind{
	name: "list",
	add: func(c *redis.Client, key, element string) (string, error) {
		return "", c.RPush(context.Background(), key, element).Err()
	},
	remove: func(c *redis.Client, key string, _ item) (string, error) {
		return c.LPop(context.Background(), key).Result()
	},
	fill: func(key string, items []item) (b []byte) {
		return inParts(items, "RPUSH", key, func(it item) []string { return []string{it.element} })
	},
	size: func(c *redis.Client, key string) (int64, error) { return c.LLen(context.Background(), key).Result() },
	read: func(c *redis.Client, key string) (items []item, err error) {
		elements, err := c.LRange(context.Background(), key, 0, -1).Result()
		for _, e := range elements {
			items = append(items, item{element: e})
		}
		return items, err
	},
	look: func(p redis.Pipeliner, key string, all []item, at int) []answer {
		ctx := context.Background()
		return []answer{
			{p.LIndex(ctx, key, int64(at)), all[at].element},
			{p.LIndex(ctx, key, int64(at-len(all))), all[at].element},
		}
	},
}

var hashes = kind{
	name: "hash",
	add: func(c *redis.Client, key, element string) (string, error) {
		return valueOf(element), one(c.HSet(context.Background(), key, element, valueOf(element)))
	},
	remove: func(c *redis.Client, key string, it item) (string, error) {
		return it.element, one(c.HDel(context.Background(), key, it.element))
	},
	incr: func(c *redis.Client, key, field string) (int64, error) {
		return c.HIncrBy(context.Background(), key, field, 1).Result()
	},
	fill: func(key string, items []item) []byte {
		return inParts(items, "HSET", key, func(it item) []string { return []string{it.element, it.note} })
	},
	size: func(c *redis.Client, key string) (int64, error) { return c.HLen(context.Background(), key).Result() },
	read: func(c *redis.Client, key string) (items []item, err error) {
		fields, err := c.HGetAll(context.Background(), key).Result()
		for field, value := range fields {
			items = append(items, item{field, value})
		}
		return items, err
	},
	look: func(p redis.Pipeliner, key string, all []item, at int) []answer {
		return []answer{{p.HGet(context.Background(), key, all[at].element), all[at].note}}
	},
}

var sortedSets = kind{
	name: "zset",
	add: func(c *redis.Client, key, element string) (string, error) {
		z := redis.Z{Score: scoreOf(element), Member: element}
		return fmt.Sprint(z.Score), one(c.ZAdd(context.Background(), key, z))
	},
	remove: func(c *redis.Client, key string, it item) (string, error) {
		return it.element, one(c.ZRem(context.Background(), key, it.element))
	},
	incr: func(c *redis.Client, key, field string) (int64, error) {
		score, err := c.ZIncrBy(context.Background(), key, 1, field).Result()
		return int64(score), err
	},
	fill: func(key string, items []item) []byte {
		return inParts(items, "ZADD", key, func(it item) []string { return []string{it.note, it.element} })
	},
	size: func(c *redis.Client, key string) (int64, error) { return c.ZCard(context.Background(), key).Result() },
	read: func(c *redis.Client, key string) (items []item, err error) {
		members, err := c.ZRangeWithScores(context.Background(), key, 0, -1).Result()
		for _, z := range members {
			items = append(items, item{z.Member.(string), fmt.Sprint(z.Score)})
		}
		return items, err
	},
	less: func(a, b item) bool {
		x, y := number(a.note), number(b.note)
		return x < y || x == y && a.element < b.element
	},
	look: func(p redis.Pipeliner, key string, all []item, at int) []answer {
		ctx, it := context.Background(), all[at]
		before, _ := slices.BinarySearchFunc(all, number(it.note), func(z item, score float64) int {
			return map[bool]int{true: -1, false: 1}[number(z.note) < score]
		})
		return []answer{
			{p.ZRank(ctx, key, it.element), strconv.Itoa(at)},
			{p.ZRevRank(ctx, key, it.element), strconv.Itoa(len(all) - 1 - at)},
			{p.ZCount(ctx, key, "-inf", "("+it.note), strconv.Itoa(before)},
			{p.ZCount(ctx, key, it.note, "+inf"), strconv.Itoa(len(all) - before)},
			{p.ZRange(ctx, key, int64(at), int64(at)), "[" + it.element + "]"},
			{p.ZScore(ctx, key, it.element), it.note},
		}
	},
}

var streams = kind{
	name: "stream",
	add: func(c *redis.Client, key, element string) (string, error) {
		return c.XAdd(context.Background(), &redis.XAddArgs{Stream: key, Values: []string{"e", element}}).Result()
	},
	remove: func(c *redis.Client, key string, it item) (string, error) {
		return it.element, one(c.XDel(context.Background(), key, it.note))
	},
	fill: func(key string, items []item) (b []byte) {
		for _, it := range items {
			b = append(b, harness.Command("XADD", key, it.note, "e", it.element)...)
		}
		return b
	},
	size: func(c *redis.Client, key string) (int64, error) { return c.XLen(context.Background(), key).Result() },
	read: func(c *redis.Client, key string) (items []item, err error) {
		entries, err := c.XRange(context.Background(), key, "-", "+").Result()
		for _, e := range entries {
			items = append(items, item{fmt.Sprint(e.Values["e"]), e.ID})
		}
		return items, err
	},
	less: func(a, b item) bool { return slices.Compare(idOf(a), idOf(b)) < 0 },
	look: func(p redis.Pipeliner, key string, all []item, at int) []answer {
		id := all[at].note
		return []answer{{p.XRange(context.Background(), key, id, id), fmt.Sprintf("[{%s map[e:%s]", id, all[at].element)}}
	},
}

// one makes an error of a reply that is not 1.
func one(cmd *redis.IntCmd) error {
	n, err := cmd.Result()
	if err == nil && n != 1 {
		return fmt.Errorf("%w: %.100s", errReply, cmd)
	}
	return err
}

// fillAt is how many elements one command brings.
const fillAt = 500

// inParts builds commands with the words of all items.
func inParts(items []item, name, key string, words func(item) []string) (b []byte) {
	for part := range slices.Chunk(items, fillAt) {
		args := []string{name, key}
		for _, it := range part {
			args = append(args, words(it)...)
		}
		b = append(b, harness.Command(args...)...)
	}
	return b
}

// noteOf returns the data of the n-th initial element.
func (k *kind) noteOf(n int, element string) string {
	switch k {
	case &hashes:
		return valueOf(element)
	case &sortedSets:
		return fmt.Sprint(scoreOf(element))
	case &streams:
		return fmt.Sprintf("%d-0", n+1)
	}
	return ""
}

func valueOf(element string) string { return "value of " + element }

// scoreOf gives many elements the same score.
func scoreOf(element string) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(element))
	return float64(h.Sum32() % 1000)
}

func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err) // these are texts of numbers
	}
	return n
}

func idOf(it item) (parts []uint64) {
	for part := range strings.SplitSeq(it.note, "-") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			panic(err) // these are ids that a client has understood
		}
		parts = append(parts, n)
	}
	return parts
}
