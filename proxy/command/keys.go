package command

import "synod/proxy/datatype"

// Keys returns the keys among a command's arguments, which must have passed
// Resolve.
func (s *Spec) Keys(args [][]byte) [][]byte {
	var keys [][]byte
	s.eachKey(args, func(key []byte, _ KeyFlag) { keys = append(keys, key) })
	return keys
}

func (s *Spec) eachKey(args [][]byte, visit func(key []byte, flags KeyFlag)) {
	for _, k := range s.KeySpecs {
		flags := k.Flags
		if k.FlagsOf != nil {
			flags = k.FlagsOf(args)
		}
		last := k.First + k.Last
		if k.Last < 0 {
			last = len(args) + k.Last
		}
		for i := k.First; i <= last && i < len(args); i += k.Step {
			visit(args[i], flags)
		}
	}
}

// setKeyFlags says that SET reads its key if it has the option GET.
func setKeyFlags(args [][]byte) KeyFlag {
	for _, a := range args[3:] {
		if datatype.Is(a, "GET") {
			return KeyRW | KeyAccess | KeyUpdate
		}
	}
	return KeyOW | KeyUpdate
}

// bitFieldKeyFlags says that BITFIELD writes its key unless all that it does is
// GET.
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
