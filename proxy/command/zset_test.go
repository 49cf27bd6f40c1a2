package command

import "testing"

// These scripts expect the replies of redis-server 7.0.

func TestSortedSetWrites(t *testing.T) {
	play(t, `
		ZADD k 1 a 2 b 3 c => :3
		ZADD k 1 a 5 b => :0
		ZADD k CH 1 a 6 b 7 d => :2
		ZADD k NX 9 a 9 e => :1
		ZADD k XX 8 a 8 f => :0
		ZADD k XX CH INCR 1 a => ,9
		ZADD k GT CH 1 a 100 b => :1
		ZADD k LT INCR 5 b => _
		ZADD k LT INCR -5 b => ,95
		ZADD k NX INCR 1 b => _
		ZADD k XX INCR 1 none => _
		ZADD none XX 1 a => :0
		ZADD k 1 a 2 a 3 a => :0
		ZADD k 1 twice 2 twice => :1
		ZREM k twice twice => :1
		ZADD k NX XX 1 a => -ERR XX and NX options at the same time are not compatible
		ZADD k GT LT 1 a => -ERR GT, LT, and/or NX options at the same time are not compatible
		ZADD k NX GT 1 a => -ERR GT, LT, and/or NX options at the same time are not compatible
		ZADD k INCR 1 a 2 b => -ERR INCR option supports a single increment-element pair
		ZADD k INCR 1 => -ERR syntax error
		ZADD k nan a => -ERR value is not a valid float
		ZADD k x a => -ERR value is not a valid float
		ZADD k 1 a 2 => -ERR syntax error
		ZADD k inf i -inf m => :2
		ZINCRBY k -inf i => -ERR resulting score is not a number (NaN)
		ZINCRBY k inf m => -ERR resulting score is not a number (NaN)
		ZINCRBY k 2.5 e => ,11.5
		ZINCRBY k NX e => -ERR syntax error
		ZINCRBY n 1e300 x => ,1.0000000000000001e+300
		ZRANGE k 0 -1 WITHSCORES => *7 *2 $1 m ,-inf *2 $1 a ,3 *2 $1 c ,3 *2 $1 d ,7 *2 $1 e ,11.5 *2 $1 b ,95 *2 $1 i ,inf
		ZSCORE k i => ,inf
		ZSCORE k none => _
		ZSCORE none a => _
		ZMSCORE k a none e => *3 ,3 _ ,11.5
		ZMSCORE none a b => *2 _ _
		ZCARD k => :7
		ZCARD none => :0
		ZRANK k a => :1
		ZREVRANK k a => :5
		ZRANK k none => _
		EXPIRE k 100 => :1
		ZREM k a none a => :1
		TTL k => :100
		ZREM none a => :0
		ZREM k b c d e i m => :6
		EXISTS k => :0
		ZADD k -0 a => :1
		ZINCRBY k -0 b => ,-0
		ZRANGE k 0 -1 WITHSCORES => *2 *2 $1 a ,0 *2 $1 b ,0
		OBJECT ENCODING k => $8 listpack
		SET s x => +OK
		ZADD s 1 a => -WRONGTYPE Operation against a key holding the wrong kind of value
		ZADD s x a => -ERR value is not a valid float
		ZSCORE s a => -WRONGTYPE Operation against a key holding the wrong kind of value
		ZRANGE s 0 -1 => -WRONGTYPE Operation against a key holding the wrong kind of value
		ZRANGE s x -1 => -ERR value is not an integer or out of range
		ZPOPMIN s => -WRONGTYPE Operation against a key holding the wrong kind of value
		ZPOPMIN s x => -ERR value is out of range, must be positive
	`)
}

func TestSortedSetRanges(t *testing.T) {
	play(t, `
		ZADD k 1 a 2 b 2 c 3 d 4.5 e => :5
		ZRANGE k 1 2 => *2 $1 b $1 c
		ZRANGE k -2 -1 REV => *2 $1 b $1 a
		ZRANGE k 0 -1 REV WITHSCORES => *5 *2 $1 e ,4.5 *2 $1 d ,3 *2 $1 c ,2 *2 $1 b ,2 *2 $1 a ,1
		ZRANGE k 1 -2 => *3 $1 b $1 c $1 d
		ZRANGE k -4 3 REV => *3 $1 d $1 c $1 b
		ZRANGE k 5 10 => *0
		ZRANGE k 3 1 => *0
		ZRANGE k -100 -5 => *1 $1 a
		ZRANGE k 0 9223372036854775807 REV => *5 $1 e $1 d $1 c $1 b $1 a
		ZRANGE k -9223372036854775808 -1 => *5 $1 a $1 b $1 c $1 d $1 e
		ZRANGE k 0 x => -ERR value is not an integer or out of range
		ZRANGE k (1 3 BYSCORE => *3 $1 b $1 c $1 d
		ZRANGE k (3 -inf BYSCORE REV LIMIT 0 2 WITHSCORES => *2 *2 $1 c ,2 *2 $1 b ,2
		ZRANGE k 1 3 BYSCORE LIMIT 1 -1 => *3 $1 b $1 c $1 d
		ZRANGE k 1 3 BYSCORE LIMIT -1 2 => *0
		ZRANGE k 1 3 BYSCORE LIMIT 0 0 => *0
		ZRANGE k 1 3 BYSCORE LIMIT 0 x => -ERR value is not an integer or out of range
		ZRANGE k 1 3 BYSCORE LIMIT 0 => -ERR syntax error
		ZRANGE k 1 3 LIMIT 0 1 => -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
		ZRANGE k 1 3 LIMIT 0 -1 => *3 $1 b $1 c $1 d
		ZRANGE k a b BYLEX => -ERR min or max not valid string range item
		ZRANGE k [a [b BYLEX WITHSCORES => -ERR syntax error, WITHSCORES not supported in combination with BYLEX
		ZRANGE k 1 3 BYSCORE BYLEX => -ERR syntax error
		ZRANGE k 1 x BYSCORE => -ERR min or max is not a float
		ZREVRANGE k 0 1 REV => -ERR syntax error
		ZRANGEBYSCORE k -inf +inf WITHSCORES LIMIT 1 2 => *2 *2 $1 b ,2 *2 $1 c ,2
		ZREVRANGEBYSCORE k +inf (2 WITHSCORES => *2 *2 $1 e ,4.5 *2 $1 d ,3
		ZRANGEBYSCORE k " 2" 0x3 => *3 $1 b $1 c $1 d
		ZCOUNT k 2 (3 => :2
		ZCOUNT k 3 2 => :0
		ZCOUNT none 1 2 => :0
		ZCOUNT k 1 nan => -ERR min or max is not a float
	`)
}

func TestSortedSetLexAndRemoval(t *testing.T) {
	play(t, `
		ZADD l 0 a 0 b 0 c 0 d 0 "" => :5
		ZRANGEBYLEX l - + => *5 $0  $1 a $1 b $1 c $1 d
		ZRANGEBYLEX l [b (d => *2 $1 b $1 c
		ZRANGEBYLEX l (a + LIMIT 1 1 => *1 $1 c
		ZREVRANGEBYLEX l + [b => *3 $1 d $1 c $1 b
		ZRANGE l (d - BYLEX REV LIMIT 1 2 => *2 $1 b $1 a
		ZRANGEBYLEX l b c => -ERR min or max not valid string range item
		ZRANGEBYLEX l + - => *0
		ZLEXCOUNT l [ [c => :4
		ZLEXCOUNT l - ( => :0
		ZREMRANGEBYLEX l [b [c => :2
		ZADD k 1 a 2 b 2 c 3 d 4.5 e => :5
		ZRANGEBYLEX k [b [c => *2 $1 b $1 c
		ZADD k 0 z => :1
		ZRANGEBYLEX k [b [c => *0
		ZREM k z => :1
		ZREMRANGEBYRANK k 0 0 => :1
		ZREMRANGEBYRANK k -1 5 => :1
		ZREMRANGEBYRANK k 7 9 => :0
		ZREMRANGEBYSCORE k (2 3 => :1
		ZREMRANGEBYSCORE k 1 x => -ERR min or max is not a float
		ZRANGE k 0 -1 => *2 $1 b $1 c
		ZPOPMIN l => *2 $0  ,0
		ZPOPMAX l 0 => *0
		ZPOPMAX l 5 => *2 *2 $1 d ,0 *2 $1 a ,0
		ZPOPMAX l => *0
		ZPOPMAX l 5 => *0
		ZPOPMIN k -1 => -ERR value is out of range, must be positive
		ZPOPMIN k 1 1 => -ERR syntax error
		ZPOPMIN k 2 => *2 *2 $1 b ,2 *2 $1 c ,2
		EXISTS k => :0
	`)
}

func TestSortedSetAlgebra(t *testing.T) {
	play(t, `
		ZADD a 1 x 2 y 3 z => :3
		ZADD b 10 y 20 z 30 w => :3
		SADD s x z v => :3
		ZUNION 2 a b => *4 $1 x $1 y $1 z $1 w
		ZUNION 2 a b WITHSCORES => *4 *2 $1 x ,1 *2 $1 y ,12 *2 $1 z ,23 *2 $1 w ,30
		ZUNION 3 a b s WEIGHTS 2 1 0.5 AGGREGATE MAX WITHSCORES => *5 *2 $1 v ,0.5 *2 $1 x ,2 *2 $1 y ,10 *2 $1 z ,20 *2 $1 w ,30
		ZUNION 2 a a WITHSCORES => *3 *2 $1 x ,2 *2 $1 y ,4 *2 $1 z ,6
		ZINTER 2 a b WITHSCORES => *2 *2 $1 y ,12 *2 $1 z ,23
		ZINTER 3 a b s AGGREGATE min WITHSCORES => *1 *2 $1 z ,1
		ZINTER 2 a none => *0
		ZDIFF 2 a b WITHSCORES => *1 *2 $1 x ,1
		ZDIFF 1 s WITHSCORES => *3 *2 $1 v ,1 *2 $1 x ,1 *2 $1 z ,1
		ZDIFF 2 none a => *0
		ZINTERCARD 2 a b => :2
		ZINTERCARD 2 a b LIMIT 1 => :1
		ZINTERCARD 2 a b LIMIT 0 => :2
		ZINTERCARD 2 a b LIMIT -1 => -ERR LIMIT can't be negative
		ZINTERCARD 2 a b LIMIT => -ERR syntax error
		ZUNION 2 a b WEIGHTS inf -inf WITHSCORES => *4 *2 $1 w ,-inf *2 $1 y ,0 *2 $1 z ,0 *2 $1 x ,inf
		ZUNION 0 a => -ERR at least 1 input key is needed for 'zunion' command
		ZUNION x a => -ERR value is not an integer or out of range
		ZUNION 3 a b => -ERR syntax error
		ZUNION 2 a b WEIGHTS 1 => -ERR syntax error
		ZUNION 2 a b WEIGHTS 1 x => -ERR weight value is not a float
		ZUNION 2 a b AGGREGATE avg => -ERR syntax error
		ZDIFF 2 a b WEIGHTS 1 1 => -ERR syntax error
		ZINTERCARD 0 a => -ERR at least 1 input key is needed for 'zintercard' command
		SET str v => +OK
		ZUNION 2 a str FOO => -WRONGTYPE Operation against a key holding the wrong kind of value
		ZUNION 2 a b FOO => -ERR syntax error
	`)
}

func TestSortedSetSamples(t *testing.T) {
	play(t, `
		ZADD a 1 x 2 y 3 z => :3
		ZRANDMEMBER a 0 => *0
		ZRANDMEMBER none => _
		ZRANDMEMBER none 5 => *0
		ZRANDMEMBER a 9223372036854775807 WITHSCORES => -ERR value is out of range
		ZRANDMEMBER a -9223372036854775808 x => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
		ZRANDMEMBER a x x => -ERR value is not an integer or out of range
		ZRANDMEMBER a 1 x => -ERR syntax error
		ZRANDMEMBER a 1 WITHSCORES x => -ERR syntax error
		ZADD one -1e17 m => :1
		ZRANDMEMBER one => $1 m
		ZRANDMEMBER one -2 WITHSCORES => *2 *2 $1 m ,-1e+17 *2 $1 m ,-1e+17
		ZRANDMEMBER one 2 WITHSCORES => *1 *2 $1 m ,-1e+17
		ZSCAN one 0 => *2 $1 0 *2 $1 m $19 -100000000000000000
		ZSCAN a 0 MATCH x => *2 $1 0 *2 $1 x $1 1
		ZSCAN a 0 COUNT 0 => -ERR syntax error
		ZSCAN none 0 COUNT 0 => *2 $1 0 *0
		ZSCAN a x => -ERR invalid cursor
		ZRANK a y WITHSCORE => *2 :1 ,2
		ZREVRANK a x withscore => *2 :2 ,1
		ZRANK a none WITHSCORE => _
		ZRANK none x WITHSCORE => _
		ZRANK a x x => -ERR syntax error
		ZRANK a x WITHSCORE x => -ERR wrong number of arguments for 'zrank' command
		ZREVRANK a x WITHSCORE x => -ERR wrong number of arguments for 'zrevrank' command
	`)
}
