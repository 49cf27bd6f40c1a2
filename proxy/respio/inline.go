package respio

// splitLine splits an inline request into words, appended to dst, as Redis's
// sdssplitargs does: words are separated by white space; a word may contain
// "double quoted" parts with escapes (\n \r \t \b \a \xHH) and 'single quoted'
// parts with \' only; a closing quote must end its word. It returns false for
// unbalanced quotes. The words do not share line's memory.
func splitLine(dst [][]byte, line []byte) ([][]byte, bool) {
	for {
		for len(line) > 0 && isSpace(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return dst, true
		}
		word, rest, ok := splitWord(line)
		if !ok {
			return dst, false
		}
		dst, line = append(dst, word), rest
	}
}

func splitWord(line []byte) (word, rest []byte, ok bool) {
	word = make([]byte, 0, 16)
	for len(line) > 0 {
		switch c := line[0]; {
		case isSpace(c):
			return word, line, true
		case c == '"' || c == '\'':
			word, line, ok = appendQuoted(word, line[1:], c)
			if !ok || (len(line) > 0 && !isSpace(line[0])) {
				return nil, nil, false
			}
			return word, line, true
		default:
			word, line = append(word, c), line[1:]
		}
	}
	return word, nil, true
}

// appendQuoted appends the text before the closing quote to word, and returns the
// rest of the line.
func appendQuoted(word, line []byte, quote byte) ([]byte, []byte, bool) {
	for len(line) > 0 {
		c := line[0]
		switch {
		case c == quote:
			return word, line[1:], true
		case c != '\\' || len(line) == 1:
			word, line = append(word, c), line[1:]
		case quote == '\'':
			if line[1] == '\'' {
				line = line[1:]
			}
			word, line = append(word, line[0]), line[1:]
		case len(line) >= 4 && line[1] == 'x' && hexDigit(line[2]) >= 0 && hexDigit(line[3]) >= 0:
			word = append(word, byte(hexDigit(line[2])<<4|hexDigit(line[3])))
			line = line[4:]
		default:
			word, line = append(word, unescape(line[1])), line[2:]
		}
	}
	return nil, nil, false
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isSpace is C's isspace.
func isSpace(c byte) bool { return c == ' ' || (c >= '\t' && c <= '\r') }
