// Package glob matches keys and names against Redis's patterns: "*", "?",
// "[a-c]", "[^abc]", and "\" to escape a character. It gives the same result as
// Redis's stringmatchlen for every input, even malformed patterns: ranges
// compare bytes as signed numbers, an unclosed "[" ends with the pattern, and
// "*" does not match an empty string.
package glob

// maxStars is the number of stars above which Redis gives up and reports no
// match. Consecutive stars count as one.
const maxStars = 1000

// Match reports whether s matches the pattern. Its time is at most proportional
// to the product of both lengths, for any pattern.
func Match(pattern, s []byte) bool { return match(pattern, s, same) }

// MatchFold is Match, ignoring the case of ASCII letters.
func MatchFold(pattern, s []byte) bool { return match(pattern, s, lower) }

func same(c byte) byte { return c }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func match(p, s []byte, fold func(byte) byte) bool {
	// The last star: the pattern continues at afterStar, and the star matches
	// the string up to taken. If the rest does not match from there, the star
	// takes one more byte. Earlier stars need no retry: the last star can reach
	// every position that they could.
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

// one matches one byte against p[i], which is not a star, and returns where the
// pattern continues.
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

// class matches a byte against the class that starts after the bracket.
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
			found = found || p[i] == c // case-sensitive even in MatchFold, as in Redis
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
