package command

import (
	"slices"

	"synod/proxy/datatype/geo"
)

// geoCommands declares the commands on places on the earth.
func geoCommands() []*Spec { return slices.Concat(geoBasics(), geoSearches()) }

// geoBasics declares the commands on single places.
func geoBasics() []*Spec {
	return []*Spec{
		{
			Name: "geoadd", Arity: -5,
			Flags:      Write | DenyOOM,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
			Group:      "geo", Since: "3.2.0",
			Summary:    "Add one or more geospatial items in the geospatial index represented using a sorted set",
			Complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
			History: []Revision{
				{"6.2.0", "Added the `CH`, `NX` and `XX` options."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "condition", Type: OneOf, Since: "6.2.0", Flags: Optional, Args: []Arg{
					{Name: "nx", Type: PureToken, Token: "NX"},
					{Name: "xx", Type: PureToken, Token: "XX"},
				}},
				{Name: "change", Type: PureToken, Token: "CH", Since: "6.2.0", Flags: Optional},
				{Name: "longitude_latitude_member", Type: Block, Flags: Multiple, Args: []Arg{
					{Name: "longitude", Type: DoubleArg},
					{Name: "latitude", Type: DoubleArg},
					{Name: "member"},
				}},
			},
			Key: geo.Add,
		},
		{
			Name: "geodist", Arity: -4,
			Flags:      ReadOnly,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "geo", Since: "3.2.0",
			Summary:    "Returns the distance between two members of a geospatial index",
			Complexity: "O(log(N))",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member1"},
				{Name: "member2"},
				{Name: "unit", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "m", Type: PureToken, Token: "M"},
					{Name: "km", Type: PureToken, Token: "KM"},
					{Name: "ft", Type: PureToken, Token: "FT"},
					{Name: "mi", Type: PureToken, Token: "MI"},
				}},
			},
			Key: geo.Dist,
		},
		{
			Name: "geohash", Arity: -2,
			Flags:      ReadOnly,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "geo", Since: "3.2.0",
			Summary:    "Returns members of a geospatial index as standard geohash strings",
			Complexity: "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member", Flags: Multiple},
			},
			Key: geo.Hash,
		},
		{
			Name: "geopos", Arity: -2,
			Flags:      ReadOnly,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "geo", Since: "3.2.0",
			Summary:    "Returns longitude and latitude of members of a geospatial index",
			Complexity: "O(N) where N is the number of members requested.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member", Flags: Multiple},
			},
			Key: geo.Pos,
		},
	}
}
