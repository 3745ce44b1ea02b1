package proxy

import "strings"

// Cookies end at ";". Old parsers also end them at ",", so an injected name is
// looked for there too.
const cookieSeparators = ";,"

// stripCookies removes the cookies whose names n drops from the values of a
// Cookie header. Without one to remove it returns values itself; a value of
// which nothing is left goes.
func stripCookies(values []string, n names) []string {
	if len(n) == 0 {
		return values
	}
	var counts []int // of exact spellings, by n; made when needed
	drop := func(cookie string) bool {
		name, content, _ := strings.Cut(cookie, "=")
		name = strings.Trim(name, " \t")
		lenient := strings.TrimFunc(name, notInCookieName)
		for i := range n {
			switch {
			case !strings.EqualFold(lenient, n[i].exact):
				continue
			case !n[i].keepOne || name != n[i].exact || isBlank(content):
				return true
			}
			if counts == nil {
				counts = make([]int, len(n))
			}
			if counts[i] == 0 {
				counts[i] = countCookie(values, name)
			}
			return counts[i] != 1
		}
		return false
	}
	var kept []string
	for i, value := range values {
		left := removePieces(value, cookieSeparators, drop)
		if len(left) == len(value) && kept == nil {
			continue
		}
		if kept == nil {
			kept = append(make([]string, 0, len(values)), values[:i]...)
		}
		if left = strings.Trim(left, " \t"); left != "" {
			kept = append(kept, left)
		}
	}
	if kept == nil {
		return values
	}
	return kept
}

// notInCookieName reports whether a byte at the edge of a cookie's name is none
// of it to some server: spaces of every kind, which in Latin-1 and in Unicode
// are more than two, and what is no text at all.
func notInCookieName(r rune) bool { return r <= ' ' || r >= 0x7f }

// countCookie counts the cookies of exactly this name.
func countCookie(values []string, name string) int {
	count := 0
	for _, value := range values {
		for cookie := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' }) {
			if n, _, _ := strings.Cut(cookie, "="); strings.Trim(n, " \t") == name {
				count++
			}
		}
	}
	return count
}

// addCookie appends a cookie to the values of a Cookie header. It joins them
// into one: HTTP/1.1 allows a single Cookie field (RFC 6265 section 5.4).
func addCookie(values []string, name, value string) string {
	cookie := name + "=" + value
	if len(values) == 0 {
		return cookie
	}
	return strings.Join(values, "; ") + "; " + cookie
}

// setCookieIs reports whether a Set-Cookie header sets the cookie name.
func setCookieIs(header, name string) bool {
	pair, _, _ := strings.Cut(header, ";")
	set, _, _ := strings.Cut(pair, "=")
	return strings.Trim(set, " \t") == name
}
