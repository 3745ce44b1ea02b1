package secret

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// patternLimit is the length in bytes up to which a secret is searched in
	// every spelling. A longer one, a token of several KB, is searched as it
	// stands and in the usual encodings: nobody escapes it by hand.
	patternLimit = 512
	// tailLimit is how much of a secret's beginning must stand at the end of
	// a text for it to be taken for a secret that was cut off.
	tailLimit = 5
)

// Scrub replaces every occurrence of the given secrets in text by "[redacted]"
// and cuts the result at max bytes (0: not cut). Vendors echo secrets and
// tokens in their error texts; everything that they send passes through here
// before anyone sees it.
//
// A secret is found whatever encoding it went through, also several times:
// percent-encoding, JSON and HTML escapes, base64; and when the end of the text
// cuts it off.
func Scrub(text string, max int, secrets ...String) string {
	var plain []string
	for _, s := range secrets {
		if !s.IsEmpty() {
			plain = append(plain, s.Reveal())
		}
	}
	// Longest first: a secret that contains another must go whole.
	slices.SortFunc(plain, func(a, b string) int { return len(b) - len(a) })
	for _, p := range slices.Compact(plain) {
		text = scrubOne(text, p)
	}
	if max > 0 && len(text) > max {
		for max > 0 && !utf8.RuneStart(text[max]) {
			max--
		}
		text = text[:max] + "…"
	}
	return text
}

func scrubOne(text, plain string) string {
	for _, sp := range encodings(plain) {
		text = strings.ReplaceAll(text, sp, redacted)
	}
	if len(plain) <= patternLimit && strings.ContainsAny(text, `%\&+`) { // else nothing is escaped
		text = pattern(plain).ReplaceAllLiteralString(text, redacted)
	}
	for n := min(len(plain)-1, len(text)); n >= tailLimit; n-- {
		if strings.HasSuffix(text, plain[:n]) {
			return text[:len(text)-n] + redacted
		}
	}
	return text
}

// encodings returns the spellings of a whole secret that are cheap to look for.
func encodings(plain string) []string {
	spellings := []string{plain, url.QueryEscape(plain), url.PathEscape(plain)}
	if len(plain) >= 3 { // shorter ones would hit unrelated text
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			spellings = append(spellings, e.EncodeToString([]byte(plain)))
		}
	}
	slices.SortFunc(spellings, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(spellings)
}

// pattern matches plain with each of its bytes spelled in any usual way.
func pattern(plain string) *regexp.Regexp {
	var b strings.Builder
	for i := range len(plain) {
		c := plain[i]
		b.WriteString(`(?:\\*`) // escaped however often
		b.WriteString(`(?:` + oneByte(c))
		fmt.Fprintf(&b, `|%%(?:25)*(?i:%02x)|u(?i:00%02x)|&(?:amp;)*#(?:0*%d|(?i:x0*%x));`, c, c, c, c)
		switch c {
		case ' ':
			b.WriteString(`|\+`)
		case '\n':
			b.WriteString(`|n`)
		case '\r':
			b.WriteString(`|r`)
		case '\t':
			b.WriteString(`|t`)
		case '&':
			b.WriteString(`|&amp;`)
		case '<':
			b.WriteString(`|&lt;`)
		case '>':
			b.WriteString(`|&gt;`)
		case '"':
			b.WriteString(`|&quot;`)
		}
		b.WriteString(`))`)
	}
	return regexp.MustCompile(b.String())
}

// oneByte returns a pattern for one byte; a byte of a longer UTF-8 sequence
// can only be matched in its encoded spellings, the whole sequence having been
// looked for before.
func oneByte(c byte) string {
	if c >= utf8.RuneSelf {
		return `\x{10FFFF}\x{10FFFF}` // never stands in a text
	}
	return regexp.QuoteMeta(string(rune(c)))
}
