package yamldoc

import (
	"fmt"
	"strings"
)

// DidYouMean returns `; did you mean "x"?` for the word nearest to text, or ""
// when none is near: at most a third of its letters may differ (of a word of two
// letters, one), and never more than three. A word that differs only in its
// separators or case is near, and so is the only word that begins with text, if
// that has three letters or more.
func DidYouMean(text string, words []string) string {
	plain := strings.NewReplacer("-", "", "_", "", " ", "", ".", "", "/", "")
	best, least := "", 4
	for _, w := range words {
		if strings.EqualFold(plain.Replace(w), plain.Replace(text)) {
			best = w
			break
		}
		if d := distance(strings.ToLower(text), strings.ToLower(w)); d < least && d < len(w) && d*3 <= max(len(w), 3) {
			best, least = w, d
		}
	}
	if best == "" {
		best = completion(text, words)
	}
	if best == "" || best == text {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// completion returns the only word that begins with text, or "".
func completion(text string, words []string) string {
	const least = 3 // letters; fewer say nothing
	found := ""
	for _, w := range words {
		if len(text) < least || len(w) < len(text) || !strings.EqualFold(w[:len(text)], text) {
			continue
		}
		if found != "" && found != w {
			return ""
		}
		found = w
	}
	return found
}

// distance is the number of letters to insert, delete, change or swap with
// their neighbour (optimal string alignment) to make a from b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
