package command

// Arguments that several commands share.
var (
	unitArg = Arg{Name: "unit", Type: OneOf, Args: []Arg{
		{Name: "m", Type: PureToken, Token: "M"},
		{Name: "km", Type: PureToken, Token: "KM"},
		{Name: "ft", Type: PureToken, Token: "FT"},
		{Name: "mi", Type: PureToken, Token: "MI"},
	}}
	orderArg = Arg{Name: "order", Type: OneOf, Flags: Optional, Args: []Arg{
		{Name: "asc", Type: PureToken, Token: "ASC"},
		{Name: "desc", Type: PureToken, Token: "DESC"},
	}}
	withCoordArg = Arg{Name: "withcoord", Type: PureToken, Token: "WITHCOORD", Flags: Optional}
	withDistArg  = Arg{Name: "withdist", Type: PureToken, Token: "WITHDIST", Flags: Optional}
	withHashArg  = Arg{Name: "withhash", Type: PureToken, Token: "WITHHASH", Flags: Optional}

	cursorArg    = Arg{Name: "cursor", Type: IntegerArg}
	matchArg     = Arg{Name: "pattern", Type: PatternArg, Token: "MATCH", Flags: Optional}
	scanCountArg = Arg{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional}
)

// countAny is COUNT count [ANY]; some commands got ANY only later.
func countAny(since string) Arg {
	return Arg{Name: "count", Type: Block, Flags: Optional, Args: []Arg{
		{Name: "count", Type: IntegerArg, Token: "COUNT"},
		{Name: "any", Type: PureToken, Token: "ANY", Since: since, Flags: Optional},
	}}
}
