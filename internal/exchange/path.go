package exchange

// HasDotSegment reports whether any reading of the raw path has a "." or ".."
// segment. Servers differ in what they decode before they resolve dot segments,
// so dots, slashes and backslashes count in their percent-encoded spelling as
// well, and a segment ends at its parameters ("..;x", which servlet containers
// resolve). Such a segment leads out of the part of a server that the path is
// meant for. The path is without query.
func HasDotSegment(path string) bool {
	dots, other := 0, false
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]) {
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
		}
		switch c {
		case '/', '\\':
			if !other && (dots == 1 || dots == 2) {
				return true
			}
			dots, other = 0, false
		case ';':
			if !other && (dots == 1 || dots == 2) {
				return true
			}
			other = true
		case '.':
			dots++
		default:
			other = true
		}
	}
	return !other && (dots == 1 || dots == 2)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
