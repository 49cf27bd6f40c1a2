package command

import "synod/proxy/datatype/geo"

// geoSearches declares the searches of places.
func geoSearches() []*Spec {
	return []*Spec{
		{
			Name: "georadius", Arity: -6,
			Flags:      Write | DenyOOM | MovableKeys,
			Categories: GeoData,
			KeySpecs: []KeySpec{
				{Flags: KeyRO | KeyAccess, First: 1, Step: 1},
				{Flags: KeyOW | KeyUpdate, First: 6, Keyword: "STORE", Step: 1},
				{Flags: KeyOW | KeyUpdate, First: 6, Keyword: "STOREDIST", Step: 1},
			},
			Group: "geo", Since: "3.2.0",
			Summary:    "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a point",
			Complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
			Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
			History: []Revision{
				{"6.2.0", "Added the `ANY` option for `COUNT`."},
				{"7.0.0", "Added support for uppercase unit names."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "longitude", Type: DoubleArg},
				{Name: "latitude", Type: DoubleArg},
				{Name: "radius", Type: DoubleArg},
				{Name: "unit", Type: OneOf, Args: []Arg{
					{Name: "m", Type: PureToken, Token: "M"},
					{Name: "km", Type: PureToken, Token: "KM"},
					{Name: "ft", Type: PureToken, Token: "FT"},
					{Name: "mi", Type: PureToken, Token: "MI"},
				}},
				{Name: "withcoord", Type: PureToken, Token: "WITHCOORD", Flags: Optional},
				{Name: "withdist", Type: PureToken, Token: "WITHDIST", Flags: Optional},
				{Name: "withhash", Type: PureToken, Token: "WITHHASH", Flags: Optional},
				{Name: "count", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "count", Type: IntegerArg, Token: "COUNT"},
					{Name: "any", Type: PureToken, Token: "ANY", Since: "6.2.0", Flags: Optional},
				}},
				{Name: "order", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "asc", Type: PureToken, Token: "ASC"},
					{Name: "desc", Type: PureToken, Token: "DESC"},
				}},
				{Name: "key", Type: KeyArg, KeySpec: 1, Token: "STORE", Flags: Optional},
				{Name: "key", Type: KeyArg, KeySpec: 2, Token: "STOREDIST", Flags: Optional},
			},
			Key: geo.Radius,
		},
		{
			Name: "georadius_ro", Arity: -6,
			Flags:      ReadOnly,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "geo", Since: "3.2.10",
			Summary:    "A read-only variant for GEORADIUS",
			Complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
			Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` argument",
			History: []Revision{
				{"6.2.0", "Added the `ANY` option for `COUNT`."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "longitude", Type: DoubleArg},
				{Name: "latitude", Type: DoubleArg},
				{Name: "radius", Type: DoubleArg},
				{Name: "unit", Type: OneOf, Args: []Arg{
					{Name: "m", Type: PureToken, Token: "M"},
					{Name: "km", Type: PureToken, Token: "KM"},
					{Name: "ft", Type: PureToken, Token: "FT"},
					{Name: "mi", Type: PureToken, Token: "MI"},
				}},
				{Name: "withcoord", Type: PureToken, Token: "WITHCOORD", Flags: Optional},
				{Name: "withdist", Type: PureToken, Token: "WITHDIST", Flags: Optional},
				{Name: "withhash", Type: PureToken, Token: "WITHHASH", Flags: Optional},
				{Name: "count", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "count", Type: IntegerArg, Token: "COUNT"},
					{Name: "any", Type: PureToken, Token: "ANY", Since: "6.2.0", Flags: Optional},
				}},
				{Name: "order", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "asc", Type: PureToken, Token: "ASC"},
					{Name: "desc", Type: PureToken, Token: "DESC"},
				}},
			},
			Key: geo.RadiusRO,
		},
		{
			Name: "georadiusbymember", Arity: -5,
			Flags:      Write | DenyOOM | MovableKeys,
			Categories: GeoData,
			KeySpecs: []KeySpec{
				{Flags: KeyRO | KeyAccess, First: 1, Step: 1},
				{Flags: KeyOW | KeyUpdate, First: 5, Keyword: "STORE", Step: 1},
				{Flags: KeyOW | KeyUpdate, First: 5, Keyword: "STOREDIST", Step: 1},
			},
			Group: "geo", Since: "3.2.0",
			Summary:    "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a member",
			Complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
			Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
			History: []Revision{
				{"7.0.0", "Added support for uppercase unit names."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member"},
				{Name: "radius", Type: DoubleArg},
				{Name: "unit", Type: OneOf, Args: []Arg{
					{Name: "m", Type: PureToken, Token: "M"},
					{Name: "km", Type: PureToken, Token: "KM"},
					{Name: "ft", Type: PureToken, Token: "FT"},
					{Name: "mi", Type: PureToken, Token: "MI"},
				}},
				{Name: "withcoord", Type: PureToken, Token: "WITHCOORD", Flags: Optional},
				{Name: "withdist", Type: PureToken, Token: "WITHDIST", Flags: Optional},
				{Name: "withhash", Type: PureToken, Token: "WITHHASH", Flags: Optional},
				{Name: "count", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "count", Type: IntegerArg, Token: "COUNT"},
					{Name: "any", Type: PureToken, Token: "ANY", Flags: Optional},
				}},
				{Name: "order", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "asc", Type: PureToken, Token: "ASC"},
					{Name: "desc", Type: PureToken, Token: "DESC"},
				}},
				{Name: "key", Type: KeyArg, KeySpec: 1, Token: "STORE", Flags: Optional},
				{Name: "key", Type: KeyArg, KeySpec: 2, Token: "STOREDIST", Flags: Optional},
			},
			Key: geo.RadiusByMember,
		},
		{
			Name: "georadiusbymember_ro", Arity: -5,
			Flags:      ReadOnly,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "geo", Since: "3.2.10",
			Summary:    "A read-only variant for GEORADIUSBYMEMBER",
			Complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
			Deprecated: "6.2.0", ReplacedBy: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member"},
				{Name: "radius", Type: DoubleArg},
				{Name: "unit", Type: OneOf, Args: []Arg{
					{Name: "m", Type: PureToken, Token: "M"},
					{Name: "km", Type: PureToken, Token: "KM"},
					{Name: "ft", Type: PureToken, Token: "FT"},
					{Name: "mi", Type: PureToken, Token: "MI"},
				}},
				{Name: "withcoord", Type: PureToken, Token: "WITHCOORD", Flags: Optional},
				{Name: "withdist", Type: PureToken, Token: "WITHDIST", Flags: Optional},
				{Name: "withhash", Type: PureToken, Token: "WITHHASH", Flags: Optional},
				{Name: "count", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "count", Type: IntegerArg, Token: "COUNT"},
					{Name: "any", Type: PureToken, Token: "ANY", Flags: Optional},
				}},
				{Name: "order", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "asc", Type: PureToken, Token: "ASC"},
					{Name: "desc", Type: PureToken, Token: "DESC"},
				}},
			},
			Key: geo.RadiusByMemberRO,
		},
		{
			Name: "geosearch", Arity: -7,
			Flags:      ReadOnly,
			Categories: GeoData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "geo", Since: "6.2.0",
			Summary:    "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.",
			Complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
			History: []Revision{
				{"7.0.0", "Added support for uppercase unit names."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "from", Type: OneOf, Args: []Arg{
					{Name: "member", Token: "FROMMEMBER"},
					{Name: "longitude_latitude", Type: Block, Token: "FROMLONLAT", Args: []Arg{
						{Name: "longitude", Type: DoubleArg},
						{Name: "latitude", Type: DoubleArg},
					}},
				}},
				{Name: "by", Type: OneOf, Args: []Arg{
					{Name: "circle", Type: Block, Args: []Arg{
						{Name: "radius", Type: DoubleArg, Token: "BYRADIUS"},
						{Name: "unit", Type: OneOf, Args: []Arg{
							{Name: "m", Type: PureToken, Token: "M"},
							{Name: "km", Type: PureToken, Token: "KM"},
							{Name: "ft", Type: PureToken, Token: "FT"},
							{Name: "mi", Type: PureToken, Token: "MI"},
						}},
					}},
					{Name: "box", Type: Block, Args: []Arg{
						{Name: "width", Type: DoubleArg, Token: "BYBOX"},
						{Name: "height", Type: DoubleArg},
						{Name: "unit", Type: OneOf, Args: []Arg{
							{Name: "m", Type: PureToken, Token: "M"},
							{Name: "km", Type: PureToken, Token: "KM"},
							{Name: "ft", Type: PureToken, Token: "FT"},
							{Name: "mi", Type: PureToken, Token: "MI"},
						}},
					}},
				}},
				{Name: "order", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "asc", Type: PureToken, Token: "ASC"},
					{Name: "desc", Type: PureToken, Token: "DESC"},
				}},
				{Name: "count", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "count", Type: IntegerArg, Token: "COUNT"},
					{Name: "any", Type: PureToken, Token: "ANY", Flags: Optional},
				}},
				{Name: "withcoord", Type: PureToken, Token: "WITHCOORD", Flags: Optional},
				{Name: "withdist", Type: PureToken, Token: "WITHDIST", Flags: Optional},
				{Name: "withhash", Type: PureToken, Token: "WITHHASH", Flags: Optional},
			},
			Key: geo.Search,
		},
	}
}
