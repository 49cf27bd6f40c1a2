package command

import "testing"

// TestPlaces compares with the replies of redis-server 7.0, except for searches
// that store.
func TestPlaces(t *testing.T) {
	play(t, `
		GEOADD k 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => :2
		GEOADD k CH XX 13.4 38.2 Palermo 1 1 New => :1
		GEOADD k CH NX 13.361389 38.115556 Palermo => :0
		GEOADD k 13.361389 38.115556 Palermo => :0
		GEOADD k NX XX 1 1 Palermo => -ERR syntax error
		GEOADD k CH CH CH => -ERR syntax error
		GEOADD k 181 1 x => -ERR invalid longitude,latitude pair 181.000000,1.000000
		GEOADD k inf 86 x => -ERR invalid longitude,latitude pair inf,86.000000
		GEOADD k nan 86 x => -ERR value is not a valid float
		ZSCORE k Palermo => ,3479099956230698
		GEODIST k Palermo Catania => $11 166274.1516
		GEODIST k Palermo Catania km => $8 166.2742
		GEODIST k Palermo none => _
		GEODIST k Palermo Catania x => -ERR unsupported unit provided. please use M, KM, FT, MI
		GEODIST k Palermo Catania m m => -ERR syntax error
		GEOHASH k Palermo Catania none => *3 $11 sqc8b49rny0 $11 sqdtr74hyu0 _
		GEOPOS k Palermo none => *2 *2 ,13.36138933897018433 ,38.11555639549629859 _
		GEOPOS k => *0
		GEORADIUS k 15 37 200 km => *2 $7 Palermo $7 Catania
		GEORADIUS k 15 37 200 km DESC WITHDIST => *2 *2 $7 Palermo $8 190.4424 *2 $7 Catania $7 56.4413
		GEORADIUS k 15 37 200 km ASC COUNT 1 WITHCOORD WITHHASH => *1 *3 $7 Catania :3479447370796909 *2 ,15.08726745843887329 ,37.50266842333162032
		GEORADIUS k 15 37 200 km STORE x WITHDIST => -ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
		GEORADIUS_RO k 15 37 200 km STORE x => -ERR syntax error
		GEORADIUS k 15 37 -1 km => -ERR radius cannot be negative
		GEORADIUS k 15 37 x km => -ERR need numeric radius
		GEORADIUS k 15 37 1 x => -ERR unsupported unit provided. please use M, KM, FT, MI
		GEORADIUSBYMEMBER k Palermo 200 KM => *2 $7 Palermo $7 Catania
		GEORADIUSBYMEMBER k nope 200 KM => -ERR could not decode requested zset member
		GEORADIUSBYMEMBER none nope x y => *0
		GEOSEARCH k FROMMEMBER Catania BYBOX 400 400 km ASC WITHDIST => *2 *2 $7 Catania $6 0.0000 *2 $7 Palermo $8 166.2742
		GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY => *1 $7 Palermo
		GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 200 km ANY => -ERR the ANY argument requires COUNT argument
		GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 200 km COUNT 0 => -ERR COUNT must be > 0
		GEOSEARCH k FROMLONLAT 15 37 BYBOX 200 x km COUNT 0 => -ERR need numeric height
		GEOSEARCH k FROMLONLAT 15 37 BYBOX x 200 km COUNT 0 => -ERR need numeric width
		GEOSEARCH k FROMLONLAT 15 37 BYBOX 1 -200 km COUNT 0 => -ERR height or width cannot be negative
		GEOSEARCH k BYRADIUS 200 km ASC WITHDIST WITHHASH => -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH
		GEOSEARCH k FROMLONLAT 15 37 ASC WITHDIST WITHHASH => -ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
		geoSearch k FROMLONLAT 15 37 ASC WITHDIST WITHHASH => -ERR exactly one of BYRADIUS and BYBOX can be specified for geoSearch
		GEOSEARCH k FROMLONLAT 15 37 FROMMEMBER Palermo BYRADIUS 1 m => -ERR syntax error
		GEOSEARCH k FROMLONLAT 15 97 BYRADIUS 1 m ASC => -ERR invalid longitude,latitude pair 15.000000,97.000000
		GEOSEARCH none FROMMEMBER x BYRADIUS 1 m => *0
		SET s x => +OK
		GEOADD s 1 1 x => -WRONGTYPE Operation against a key holding the wrong kind of value
		GEOSEARCH s nonsense in seven other words => -WRONGTYPE Operation against a key holding the wrong kind of value
		GEORADIUS k 15 37 200 km STORE x => -ERR STORE and STOREDIST need a transaction, which this version does not have
		GEORADIUSBYMEMBER k Palermo 200 km STOREDIST x => -ERR STORE and STOREDIST need a transaction, which this version does not have
		GEORADIUSBYMEMBER none Palermo 200 km STORE x => -ERR STORE and STOREDIST need a transaction, which this version does not have
		COMMAND GETKEYS GEORADIUS k 1 1 1 m STORE x => *2 $1 k $1 x
	`)
}
