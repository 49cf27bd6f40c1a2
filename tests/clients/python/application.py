"""A shop on redis-py: application.py ADDRESS,... DATABASE

Uses the database and the next one, and checks every answer.
"""

import datetime
import sys
import threading

import redis

answers = 0
failures = []


def check(what, have, want):
    global answers
    answers += 1
    if have != want or type(have) is not type(want):
        failures.append(what)
        print(f"{what}: got {have!r:.300}, want {want!r:.300}")


def raises(what, kind, text, call, *args):
    try:
        have = call(*args)
    except redis.RedisError as e:
        check(what, (type(e).__name__, str(e)), (kind.__name__, text))
    else:
        check(what, have, kind)


def connection(r, address):
    check("ping", r.ping(), True)
    check("echo", r.echo("a b"), b"a b")
    check("client name", r.client_getname(), "shop")
    check("client id", r.client_id() > 0, True)
    check("client list", any(c["name"] == "shop" for c in r.client_list()), True)
    check("info", r.info("server")["tcp_port"], int(address.split(":")[1]))
    check("time", len(r.time()), 2)
    check("config", "maxmemory" in r.config_get("max*"), True)
    check("command", r.command()["hset"]["arity"], -4)
    check("lastsave or not", isinstance(r.dbsize(), int), True)


def strings(r):
    binary = bytes(range(256)) * 4
    big = b"0123456789abcdef" * (1 << 17)  # 2 MiB
    for v in (b"", b"text", "日本".encode(), binary, big):
        check("set", r.set("s", v), True)
        check("get", r.get("s"), v)
    check("getrange", r.getrange("s", 1 << 20, (1 << 20) + 19), big[1 << 20:(1 << 20) + 20])
    check("set nx", r.set("s", "other", nx=True), None)
    check("set xx", r.set("s", 10, xx=True, ex=datetime.timedelta(hours=1)), True)
    check("ttl", 3000 < r.ttl("s") <= 3600, True)
    check("incr", r.incr("s", 5), 15)
    check("incrbyfloat", r.incrbyfloat("s", 0.5), 15.5)
    check("set get", r.set("s", "x", get=True, keepttl=True), b"15.5")
    check("append", r.append("s", "yz"), 3)
    check("mget", r.mget("s", "none"), [b"xyz", None])
    check("getex", r.getex("s", persist=True), b"xyz")
    check("no expiry", r.ttl("s"), -1)
    check("getdel", r.getdel("s"), b"xyz")
    check("setbit", r.setbit("bits", 1000, 1), 0)
    check("bitcount", r.bitcount("bits"), 1)
    check("bitfield", r.bitfield("bits").set("u8", 0, 4).incrby("u8", 0, 5).execute(), [0, 9])


def hashes(r):
    check("hset", r.hset("cart", mapping={"owner": "ann", "items": 3, b"\x00": b"\xff"}), 3)
    check("hgetall", r.hgetall("cart"), {b"owner": b"ann", b"items": b"3", b"\x00": b"\xff"})
    check("hgetall of nothing", r.hgetall("none"), {})
    check("hmget", r.hmget("cart", "owner", "none"), [b"ann", None])
    check("hincrby", r.hincrby("cart", "items"), 4)
    check("hincrbyfloat", r.hincrbyfloat("cart", "total", 1.25), 1.25)
    check("hexists", r.hexists("cart", "total"), True)
    check("hrandfield", len(r.hrandfield("cart", 2, withvalues=True)), 4)
    check("hdel", r.hdel("cart", "total", "none"), 1)
    many = {f"field{i}".encode(): b"v" * (i % 100) for i in range(2000)}
    check("hset of many", r.hset("big", mapping=many), 2000)
    check("hgetall of many", r.hgetall("big"), many)
    check("hscan", dict(r.hscan_iter("big", match="field*", count=100)), many)


def lists(r):
    check("rpush", r.rpush("queue", "a", "b", "c"), 3)
    check("lpush", r.lpush("queue", b"\x00"), 4)
    check("lrange", r.lrange("queue", 0, -1), [b"\x00", b"a", b"b", b"c"])
    check("lpos", r.lpos("queue", "b"), 2)
    check("linsert", r.linsert("queue", "after", "b", "b2"), 5)
    check("lpop", r.lpop("queue", 2), [b"\x00", b"a"])
    check("rpop", r.rpop("queue"), b"c")
    check("lindex", r.lindex("queue", -1), b"b2")
    check("lset", r.lset("queue", 0, "first"), True)
    check("ltrim", r.ltrim("queue", 0, 0), True)
    check("lrem", r.lrem("queue", 0, "first"), 1)
    check("llen", r.llen("queue"), 0)


def sets(r):
    check("sadd", r.sadd("red", "apple", "cherry", "rose"), 3)
    check("sadd", r.sadd("fruit", "apple", "banana"), 2)
    check("smembers", r.smembers("fruit"), {b"apple", b"banana"})
    check("sinter", r.sinter("red", "fruit"), {b"apple"})
    check("sdiff", r.sdiff("fruit", "red"), {b"banana"})
    check("sunion", r.sunion("red", "fruit"), {b"apple", b"banana", b"cherry", b"rose"})
    check("sintercard", r.sintercard(2, ["red", "fruit"]), 1)
    check("smismember", r.smismember("red", ["rose", "banana"]), [1, 0])
    check("spop", set(r.spop("red", 10)), {b"apple", b"cherry", b"rose"})
    check("exists", r.exists("red", "fruit"), 1)
    check("sadd of many", r.sadd("many", *range(3000)), 3000)
    check("sscan", {int(m) for m in r.sscan_iter("many", count=500)}, set(range(3000)))


def sorted_sets(r):
    check("zadd", r.zadd("board", {"ann": 10, "bob": 20.5, "eve": -1}), 3)
    check("zadd gt ch", r.zadd("board", {"ann": 15, "eve": -5}, gt=True, ch=True), 1)
    check("zadd incr", r.zadd("board", {"bob": 0.5}, incr=True), 21.0)
    check("zrange", r.zrange("board", 0, -1, desc=True, withscores=True), [(b"bob", 21.0), (b"ann", 15.0), (b"eve", -1.0)])
    check("zrangebyscore", r.zrangebyscore("board", "(-1", "+inf", start=0, num=1), [b"ann"])
    check("zrank", r.zrank("board", "ann"), 1)
    check("zscore", r.zscore("board", "none"), None)
    check("zmscore", r.zmscore("board", ["ann", "none"]), [15.0, None])
    check("zcount", r.zcount("board", 0, "inf"), 2)
    check("zadd", r.zadd("bonus", {"ann": float("inf")}), 1)
    check("zinter", r.zinter(["board", "bonus"], withscores=True), [(b"ann", float("inf"))])
    check("zunion", r.zunion({"board": 2, "bonus": 1}, withscores=True), [(b"eve", -2.0), (b"bob", 42.0), (b"ann", float("inf"))])
    check("zpopmin", r.zpopmin("board"), [(b"eve", -1.0)])
    many = {f"m{i}": i / 3 for i in range(1000)}
    check("zadd of many", r.zadd("large", many), 1000)
    check("zscan", {k.decode(): v for k, v in r.zscan_iter("large", count=50)}, many)
    check("zremrangebyrank", r.zremrangebyrank("large", 10, -1), 990)
    check("geoadd", r.geoadd("shops", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"]), 2)
    check("geodist", r.geodist("shops", "Palermo", "Catania", unit="km"), 166.2742)
    check("geosearch", r.geosearch("shops", longitude=15, latitude=37, radius=200, unit="km", sort="ASC", withdist=True),
          [[b"Catania", 56.4413], [b"Palermo", 190.4424]])
    check("geohash", r.geohash("shops", "Palermo"), ["sqc8b49rny0"])


def streams(r):
    check("xgroup create", r.xgroup_create("orders", "billing", mkstream=True), True)
    for i in range(5):
        check("xadd", r.xadd("orders", {"n": i}, id=f"{i + 1}-0"), f"{i + 1}-0".encode())
    check("xadd by the clock", r.xadd("orders", {"n": 5}) > b"1600000000000-0", True)
    check("xrange", r.xrange("orders", count=1), [(b"1-0", {b"n": b"0"})])
    check("xread", [i for i, _ in r.xread({"orders": "3-0"}, count=2)[0][1]], [b"4-0", b"5-0"])
    read = r.xreadgroup("billing", "one", {"orders": ">"}, count=3)
    check("xreadgroup", [i for i, _ in read[0][1]], [b"1-0", b"2-0", b"3-0"])
    check("xack", r.xack("orders", "billing", "1-0"), 1)
    check("xpending", r.xpending("orders", "billing")["consumers"], [{"name": b"one", "pending": 2}])
    check("xpending", [p["message_id"] for p in r.xpending_range("orders", "billing", "-", "+", 10)], [b"2-0", b"3-0"])
    check("xclaim", r.xclaim("orders", "billing", "two", 0, ["2-0"], justid=True), [b"2-0"])
    check("xautoclaim", r.xautoclaim("orders", "billing", "two", 0, justid=True), [b"2-0", b"3-0"])
    check("xinfo groups", r.xinfo_groups("orders")[0]["pending"], 2)
    check("xinfo consumers", [c["name"] for c in r.xinfo_consumers("orders", "billing")], [b"one", b"two"])
    check("xinfo stream", r.xinfo_stream("orders")["length"], 6)
    check("xdel", r.xdel("orders", "5-0"), 1)
    check("xtrim", r.xtrim("orders", maxlen=2, approximate=False), 3)
    check("xreadgroup", len(r.xreadgroup("billing", "one", {"orders": ">"})[0][1]), 2)
    check("nothing new", r.xreadgroup("billing", "one", {"orders": ">"}), [])
    check("xgroup delconsumer", r.xgroup_delconsumer("orders", "billing", "two"), 2)
    check("xgroup destroy", r.xgroup_destroy("orders", "billing"), True)


def keys(r):
    check("pfadd", r.pfadd("visitors", *range(1000)), 1)
    check("pfcount", 970 < r.pfcount("visitors") < 1030, True)
    check("expire", r.expire("board", 3600), True)
    check("expire nx", r.expire("board", 60, nx=True), False)
    check("persist", r.persist("board"), True)
    check("type", r.type("board"), b"zset")
    check("object encoding", r.object("encoding", "board"), b"listpack")
    check("restore", r.restore("copy", 0, r.dump("board"), replace=True), b"OK")
    check("copy", r.zrange("copy", 0, -1, withscores=True), r.zrange("board", 0, -1, withscores=True))
    check("rpush", r.rpush("unsorted", 3, 1, 2), 3)
    check("sort", r.sort("unsorted", desc=True), [b"3", b"2", b"1"])
    every = set(r.keys())
    check("scan", set(r.scan_iter(count=3)), every)
    check("scan of a type", set(r.scan_iter(_type="zset")), {k for k in every if r.type(k) == b"zset"})
    check("dbsize", r.dbsize(), len(every))
    check("unlink", r.unlink("copy", "none"), 1)


def pipelines(r):
    """The pool is used from many threads, each with pipelines."""
    wrong = []

    def work(worker):
        for _ in range(20):
            with r.pipeline(transaction=False) as p:
                p.incr("hits").hincrby("by", worker, 1).zincrby("rank", 1, worker).get("none")
                done = p.execute()
                if len(done) != 4 or done[0] < 1 or done[3] is not None:
                    wrong.append(done)

    threads = [threading.Thread(target=work, args=(w,)) for w in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("pipelines", wrong, [])
    check("hits", r.get("hits"), b"320")
    check("by", r.hvals("by"), [b"20"] * 16)
    check("rank", r.zscore("rank", 3), 20.0)
    with r.pipeline(transaction=False) as p:
        done = p.set("hits", "x").lpush("hits", 1).get("hits").execute(raise_on_error=False)
    check("an error in a pipeline", (done[0], str(done[1]), done[2]),
          (True, "WRONGTYPE Operation against a key holding the wrong kind of value", b"x"))


def errors(r):
    raises("wrong type", redis.ResponseError, "WRONGTYPE Operation against a key holding the wrong kind of value", r.lpush, "hits", 1)
    raises("not a number", redis.ResponseError, "value is not an integer or out of range", r.incr, "hits")
    raises("no such command", redis.ResponseError, "unknown command 'NOSUCH', with args beginning with: 'x' ", r.execute_command, "NOSUCH", "x")
    raises("no such script", redis.ResponseError, "wrong number of arguments for 'get' command", r.execute_command, "GET")


def main():
    addresses, database = sys.argv[1].split(","), int(sys.argv[2])
    host, port = addresses[0].split(":")
    pool = redis.BlockingConnectionPool(host=host, port=int(port), db=database, client_name="shop",
                                        max_connections=8, health_check_interval=1, socket_timeout=30)
    r = redis.Redis(connection_pool=pool)
    check("flush", r.flushdb(), True)
    connection(r, addresses[0])
    for part in (strings, hashes, lists, sets, sorted_sets, streams, keys, pipelines, errors):
        part(r)
    other = redis.Redis.from_url(f"redis://{addresses[-1]}/{database}", decode_responses=True)
    check("by another proxy, as text", other.hgetall("by"), {str(w): "20" for w in range(16)})
    next_one = redis.Redis.from_url(f"redis://{addresses[-1]}/{database + 1}")
    check("flush", next_one.flushdb(), True)
    check("another database", next_one.exists("by"), 0)
    if failures:
        sys.exit(f"{len(failures)} of {answers} answers are wrong")
    print(f"{answers} answers are right")


main()
