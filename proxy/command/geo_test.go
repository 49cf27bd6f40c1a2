package command

import "testing"

func TestGeo(t *testing.T) {
	play(t, `
		GEOADD k 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => :2
		GEOADD k CH XX 13.361389 38.115557 Palermo 1 1 New => :0
		GEOADD k NX 1 1 Palermo => :0
		GEOADD k NX XX 1 1 Palermo => -ERR syntax error
		GEOADD k CH CH CH => -ERR syntax error
		GEOADD k 181 1 x => -ERR invalid longitude,latitude pair 181.000000,1.000000
		GEOADD k inf 86 x => -ERR invalid longitude,latitude pair inf,86.000000
		GEOADD k nan 86 x => -ERR value is not a valid float
		GEOADD k 13.361389 38.115556 Palermo => :0
		ZSCORE k Palermo => ,3479099956230698
	`)
}
