// Package glob matches keys and names against Redis's patterns: "*", "?",
// "[a-c]", "[^abc]" and "\" before a character that is to be taken as it is.
// It decides as Redis's stringmatchlen does on every input, malformed patterns
// included: bytes are compared as signed numbers in a range, an unclosed "["
// ends with the pattern, and "*" does not match an empty string.
package glob

// maxStars is the number of stars, several in a row counting as one, beyond
// which Redis gives up and finds no match.
const maxStars = 1000

// Match reports whether s matches the pattern, in time proportional to the
// product of their lengths at most, whatever the pattern.
func Match(pattern, s []byte) bool { return match(pattern, s, same) }

// MatchFold is Match without regard to the case of ASCII letters.
func MatchFold(pattern, s []byte) bool { return match(pattern, s, lower) }

func same(c byte) byte { return c }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func match(p, s []byte, fold func(byte) byte) bool {
	// The last star met: the pattern goes on at afterStar, and the star takes
	// the string up to taken. When the rest does not match from there, the star
	// takes one byte more. Earlier stars need not be tried again: what they
	// could reach, the last one can.
	afterStar, taken, stars := -1, 0, 0
	i, j := 0, 0
	for {
		ok := true
		for ok && i < len(p) && j < len(s) {
			if p[i] == '*' {
				i = skipStars(p, i)
				if i == len(p) {
					return true
				}
				if stars++; stars > maxStars {
					return false
				}
				afterStar, taken = i, j
				continue
			}
			i, ok = one(p, i, s[j], fold)
			if j++; j == len(s) {
				i = skipStars(p, i)
			}
		}
		if ok && i == len(p) && j == len(s) {
			return true
		}
		if taken++; afterStar < 0 || taken >= len(s) {
			return false
		}
		i, j = afterStar, taken
	}
}

func skipStars(p []byte, i int) int {
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i
}

// one matches one byte against what stands at p[i], which is not a star, and
// returns where the pattern goes on.
func one(p []byte, i int, c byte, fold func(byte) byte) (next int, ok bool) {
	switch {
	case p[i] == '?':
		return i + 1, true
	case p[i] == '[':
		return class(p, i+1, c, fold)
	case p[i] == '\\' && i+1 < len(p):
		i++
	}
	return i + 1, fold(p[i]) == fold(c)
}

// class matches a byte against the class that begins after its bracket.
func class(p []byte, i int, c byte, fold func(byte) byte) (next int, ok bool) {
	negated := i < len(p) && p[i] == '^'
	if negated {
		i++
	}
	found := false
	for i < len(p) && p[i] != ']' {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			found = found || p[i] == c // in whatever case: Redis does not fold here
		case i+2 < len(p) && p[i+1] == '-':
			lo, hi := int8(p[i]), int8(p[i+2])
			if lo > hi {
				lo, hi = hi, lo
			}
			x := int8(fold(c))
			found = found || (x >= int8(fold(byte(lo))) && x <= int8(fold(byte(hi))))
			i += 2
		default:
			found = found || fold(p[i]) == fold(c)
		}
		i++
	}
	return min(i+1, len(p)), found != negated
}
