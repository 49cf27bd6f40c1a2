package command

import (
	"synod/proxy/datatype/str"
)

// bitmapCommands declares the commands on the bits of a string.
func bitmapCommands() []*Spec {
	return []*Spec{
		{
			Name: "bitcount", Arity: -2,
			Flags:      ReadOnly,
			Categories: BitmapData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "bitmap", Since: "2.6.0",
			Summary:    "Count set bits in a string",
			Complexity: "O(N)",
			History: []Revision{
				{"7.0.0", "Added the `BYTE|BIT` option."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "index", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "start", Type: IntegerArg},
					{Name: "end", Type: IntegerArg},
					{Name: "index_unit", Type: OneOf, Since: "7.0.0", Flags: Optional, Args: []Arg{
						{Name: "byte", Type: PureToken, Token: "BYTE"},
						{Name: "bit", Type: PureToken, Token: "BIT"},
					}},
				}},
			},
			Key: str.BitCount,
		},
		{
			Name: "bitfield", Arity: -2,
			Flags:      Write | DenyOOM,
			Categories: BitmapData,
			KeySpecs:   []KeySpec{{Notes: "This command allows both access and modification of the key", Flags: KeyRW | KeyAccess | KeyUpdate | KeyVariableFlags, First: 1, Step: 1, FlagsOf: bitFieldKeyFlags}},
			Group:      "bitmap", Since: "3.2.0",
			Summary:    "Perform arbitrary bitfield integer operations on strings",
			Complexity: "O(1) for each subcommand specified",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "operation", Type: OneOf, Flags: Optional | Multiple, Args: []Arg{
					{Name: "encoding_offset", Type: Block, Token: "GET", Args: []Arg{
						{Name: "encoding"},
						{Name: "offset", Type: IntegerArg},
					}},
					{Name: "write", Type: Block, Args: []Arg{
						{Name: "wrap_sat_fail", Type: OneOf, Token: "OVERFLOW", Flags: Optional, Args: []Arg{
							{Name: "wrap", Type: PureToken, Token: "WRAP"},
							{Name: "sat", Type: PureToken, Token: "SAT"},
							{Name: "fail", Type: PureToken, Token: "FAIL"},
						}},
						{Name: "write_operation", Type: OneOf, Args: []Arg{
							{Name: "encoding_offset_value", Type: Block, Token: "SET", Args: []Arg{
								{Name: "encoding"},
								{Name: "offset", Type: IntegerArg},
								{Name: "value", Type: IntegerArg},
							}},
							{Name: "encoding_offset_increment", Type: Block, Token: "INCRBY", Args: []Arg{
								{Name: "encoding"},
								{Name: "offset", Type: IntegerArg},
								{Name: "increment", Type: IntegerArg},
							}},
						}},
					}},
				}},
			},
			Key: str.BitField,
		},
		{
			Name: "bitfield_ro", Arity: -2,
			Flags:      ReadOnly | Fast,
			Categories: BitmapData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "bitmap", Since: "6.0.0",
			Summary:    "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD",
			Complexity: "O(1) for each subcommand specified",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "encoding_offset", Type: Block, Token: "GET", Flags: Optional | Multiple | MultipleToken, Args: []Arg{
					{Name: "encoding"},
					{Name: "offset", Type: IntegerArg},
				}},
			},
			Key: str.BitFieldRO,
		},
		{
			Name: "bitpos", Arity: -3,
			Flags:      ReadOnly,
			Categories: BitmapData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "bitmap", Since: "2.8.7",
			Summary:    "Find first bit set or clear in a string",
			Complexity: "O(N)",
			History: []Revision{
				{"7.0.0", "Added the `BYTE|BIT` option."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "bit", Type: IntegerArg},
				{Name: "index", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "start", Type: IntegerArg},
					{Name: "end_index", Type: Block, Flags: Optional, Args: []Arg{
						{Name: "end", Type: IntegerArg},
						{Name: "index_unit", Type: OneOf, Since: "7.0.0", Flags: Optional, Args: []Arg{
							{Name: "byte", Type: PureToken, Token: "BYTE"},
							{Name: "bit", Type: PureToken, Token: "BIT"},
						}},
					}},
				}},
			},
			Key: str.BitPos,
		},
		{
			Name: "getbit", Arity: 3,
			Flags:      ReadOnly | Fast,
			Categories: BitmapData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "bitmap", Since: "2.2.0",
			Summary:    "Returns the bit value at offset in the string value stored at key",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "offset", Type: IntegerArg},
			},
			Key: str.GetBit,
		},
		{
			Name: "setbit", Arity: 4,
			Flags:      Write | DenyOOM,
			Categories: BitmapData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, First: 1, Step: 1}},
			Group:      "bitmap", Since: "2.2.0",
			Summary:    "Sets or clears the bit at offset in the string value stored at key",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "offset", Type: IntegerArg},
				{Name: "value", Type: IntegerArg},
			},
			Key: str.SetBit,
		},
	}
}
