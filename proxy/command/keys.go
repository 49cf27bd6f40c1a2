package command

import (
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// Keys returns the keys in a command's arguments. The arguments must have
// passed Resolve.
func (s *Spec) Keys(args [][]byte) [][]byte {
	var keys [][]byte
	s.eachKey(args, func(key []byte, _ KeyFlag) { keys = append(keys, key) })
	return keys
}

func (s *Spec) eachKey(args [][]byte, visit func(key []byte, flags KeyFlag)) {
	for i := range s.KeySpecs {
		k := &s.KeySpecs[i]
		flags := k.Flags
		if k.FlagsOf != nil {
			flags = k.FlagsOf(args)
		}
		for first, last := k.positions(args); first <= last; first += max(k.Step, 1) {
			visit(args[first], flags)
		}
	}
}

// positions returns the indexes of the first and last key; last < first if
// there are none.
func (k *KeySpec) positions(args [][]byte) (first, last int) {
	switch {
	case k.Unknown:
		if k.Find != nil {
			if i := k.Find(args); i > 0 {
				return i, i
			}
		}
		return 1, 0
	case k.KeyNum:
		first = k.First + 1
		n, ok := number.ParseInt(args[k.First])
		if !ok || n < 1 || n > int64((len(args)-first+k.Step-1)/k.Step) {
			return first, 0
		}
		return first, first + (int(n)-1)*k.Step
	case k.Keyword != "":
		for i := k.First; i < len(args); i++ {
			switch {
			case !datatype.Is(args[i], k.Keyword):
			case k.Last < 0:
				return i + 1, i + (len(args)-i-1)/max(k.Limit, 1)
			default:
				return i + 1, min(i+1+k.Last, len(args)-1)
			}
		}
		return len(args), 0
	case k.Last < 0:
		return k.First, len(args) + k.Last
	}
	return k.First, min(k.First+k.Last, len(args)-1)
}

// setKeyFlags says that SET with the option GET reads its key.
func setKeyFlags(args [][]byte) KeyFlag {
	for _, a := range args[3:] {
		if datatype.Is(a, "GET") {
			return KeyRW | KeyAccess | KeyUpdate
		}
	}
	return KeyOW | KeyUpdate
}

// bitFieldKeyFlags says that BITFIELD writes its key unless all its subcommands
// are GET.
func bitFieldKeyFlags(args [][]byte) KeyFlag {
	for i := 2; i < len(args); {
		more := len(args) - i - 1
		switch {
		case datatype.Is(args[i], "GET") && more >= 2:
			i += 3
		case datatype.Is(args[i], "OVERFLOW") && more >= 1:
			i += 2
		default:
			return KeyRW | KeyAccess | KeyUpdate
		}
	}
	return KeyRO | KeyAccess
}

// storeKey returns the position of SORT's destination: the argument after the
// last STORE that is not another option's value.
func storeKey(args [][]byte) (at int) {
	for i := 2; i < len(args); i++ {
		switch {
		case datatype.Is(args[i], "LIMIT"):
			i += 2
		case datatype.Is(args[i], "GET"), datatype.Is(args[i], "BY"):
			i++
		case datatype.Is(args[i], "STORE") && i+1 < len(args):
			at = i + 1
		}
	}
	return at
}
