package proxy

import (
	"net/url"
	"strings"
)

// removePieces removes the pieces of list for which drop says so, each with one
// separator. Everything else keeps its bytes and its order. Without a piece to
// remove it returns list itself.
func removePieces(list, separators string, drop func(piece string) bool) string {
	var kept strings.Builder
	copied := 0 // list[:copied] is in kept, or gone
	removed := false
	leading := true // nothing was kept so far
	for start := 0; start <= len(list); {
		end := len(list)
		if i := strings.IndexAny(list[start:], separators); i >= 0 {
			end = start + i
		}
		switch {
		case drop(list[start:end]):
			if !leading {
				kept.WriteString(list[copied : start-1])
			}
			copied, removed = end, true
		case leading:
			leading = false
			copied = start
		}
		start = end + 1
	}
	switch {
	case !removed:
		return list
	case leading:
		return ""
	}
	kept.WriteString(list[copied:])
	return kept.String()
}

// Pieces of a query end at "&"; some upstreams also end them at ";", so an
// injected name is looked for there too.
const querySeparators = "&;"

// stripQuery removes the parameters whose names n drops, in whatever spelling.
func stripQuery(raw string, n names) string {
	if raw == "" || len(n) == 0 {
		return raw
	}
	var counts []int // of exact spellings, by n; made when needed
	return removePieces(raw, querySeparators, func(piece string) bool {
		name, value, _ := strings.Cut(piece, "=")
		for i := range n {
			switch {
			case !queryNameIs(name, n[i].folded):
				continue
			case !n[i].keepOne || name != n[i].exact || value == "":
				return true
			}
			if counts == nil {
				counts = make([]int, len(n))
			}
			if counts[i] == 0 {
				counts[i] = countQuery(raw, name)
			}
			return counts[i] != 1
		}
		return false
	})
}

// countQuery counts the parameters of exactly this spelling.
func countQuery(raw, name string) int {
	count := 0
	for piece := range strings.FieldsFuncSeq(raw, func(r rune) bool { return r == '&' || r == ';' }) {
		if n, _, _ := strings.Cut(piece, "="); n == name {
			count++
		}
	}
	return count
}

// queryNameIs reports whether the raw name, percent-decoded, is name but for
// its case, or names an item of it: many servers make "name[]" and "name[x]" a
// list and add what they find under name itself. name is in lower case.
func queryNameIs(raw, name string) bool {
	j := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '%' && i+2 < len(raw) && isHex(raw[i+1]) && isHex(raw[i+2]):
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		case c == '+':
			c = ' '
		}
		if j == len(name) {
			return c == '['
		}
		if lower(c) != name[j] {
			return false
		}
		j++
	}
	return j == len(name)
}

// validQuery reports whether everyone reads the raw query alike: no stray
// percent sign and no semicolon, which separates parameters for some.
func validQuery(raw string) bool {
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case ';':
			return false
		case '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return false
			}
			i += 2
		}
	}
	return true
}

// addQuery appends a parameter; value is percent-encoded already.
func addQuery(raw, name, value string) string {
	name = url.QueryEscape(name)
	if raw == "" {
		return name + "=" + value
	}
	return raw + "&" + name + "=" + value
}
