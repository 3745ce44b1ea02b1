package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// decodings is how many encodings around one another are seen through: JSON
	// inside JSON inside a query is as far as vendors go.
	decodings = 4
	// tailLeast is how much of a secret's beginning must stand at the end of a
	// text for it to be taken for a secret that was cut off; tailMost is how
	// much of it is looked for.
	tailLeast, tailMost = 5, 1024
)

// Scrub replaces every occurrence of the given secrets in text by "[redacted]"
// and cuts the result at max bytes (0: not cut). Vendors echo secrets and
// tokens in their error texts; everything that they send passes through here
// before anyone sees it.
//
// A secret is found whatever encoding it went through, also several times:
// percent-encoding, JSON and HTML escapes, base64, hex; and when the end of the
// text cuts it off. The time is linear in the length of the text.
func Scrub(text string, max int, secrets ...String) string {
	var plain []string
	for _, s := range secrets {
		if !s.IsEmpty() {
			plain = append(plain, s.Reveal())
		}
	}
	slices.Sort(plain)
	plain = slices.Compact(plain)
	if len(plain) > 0 && text != "" {
		marked := make([]bool, len(text))
		markLevels(marked, text, plain)
		if strings.Contains(text, "+") { // a space, in what a form encoded
			markLevels(marked, strings.ReplaceAll(text, "+", " "), plain)
		}
		text = cutOut(text, marked)
	}
	if max > 0 && len(text) > max {
		for max > 0 && !utf8.RuneStart(text[max]) {
			max--
		}
		text = text[:max] + "…"
	}
	return text
}

// markLevels marks the secrets in text and in what its escapes stand for.
func markLevels(marked []bool, text string, plain []string) {
	for level, more := asSent(text), true; more; level, more = level.decode() {
		for _, p := range plain {
			level.mark(marked, p)
		}
		if level.depth == decodings {
			return
		}
	}
}

// cutOut replaces each run of marked bytes.
func cutOut(text string, marked []bool) string {
	if !slices.Contains(marked, true) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if !marked[i] {
			b.WriteByte(text[i])
		} else if i == 0 || !marked[i-1] {
			b.WriteString(redacted)
		}
	}
	return b.String()
}

// decoded is a text after some decodings, which knows for each of its bytes
// where in the original it comes from.
type decoded struct {
	depth int
	text  []byte
	from  []int // parallel to text, and one more: the original's length
}

func asSent(text string) decoded {
	d := decoded{text: []byte(text), from: make([]int, len(text)+1)}
	for i := range d.from {
		d.from[i] = i
	}
	return d
}

// mark marks the bytes of the original in which plain stands, as it is or
// encoded as a whole.
func (d decoded) mark(marked []bool, plain string) {
	for _, needle := range needles(plain) {
		d.markAll(marked, []byte(needle))
	}
	for n := min(len(plain)-1, len(d.text), tailMost); n >= tailLeast; n-- {
		if bytes.HasSuffix(d.text, []byte(plain[:n])) {
			d.markRange(marked, len(d.text)-n, len(d.text))
			break
		}
	}
}

func needles(plain string) []string {
	list := []string{plain}
	if len(plain) < 3 { // their encodings would hit unrelated text
		return list
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding, base64.StdEncoding, base64.URLEncoding} {
		list = append(list, e.EncodeToString([]byte(plain)))
	}
	digits := hex.EncodeToString([]byte(plain))
	return append(list, digits, strings.ToUpper(digits))
}

func (d decoded) markAll(marked []bool, needle []byte) {
	for at := 0; ; {
		i := bytes.Index(d.text[at:], needle)
		if i < 0 {
			return
		}
		d.markRange(marked, at+i, at+i+len(needle))
		at += i + 1 // occurrences may overlap
	}
}

func (d decoded) markRange(marked []bool, lo, hi int) {
	for i := d.from[lo]; i < d.from[hi]; i++ {
		marked[i] = true
	}
}

// decode takes one layer of escapes away: %41, \", \u0041, &#65; and &amp;.
// It reports whether there was any.
func (d decoded) decode() (decoded, bool) {
	out := decoded{depth: d.depth + 1, text: make([]byte, 0, len(d.text)), from: make([]int, 0, len(d.from))}
	any := false
	for i := 0; i < len(d.text); {
		char, n := unescape(d.text[i:])
		if n == 0 {
			char, n = string(d.text[i:i+1]), 1
		} else {
			any = true
		}
		for range len(char) {
			out.from = append(out.from, d.from[i])
		}
		out.text = append(out.text, char...)
		i += n
	}
	out.from = append(out.from, d.from[len(d.text)])
	return out, any
}

// unescape returns what the escape at the beginning of text stands for, and its
// length; 0 when there is none.
func unescape(text []byte) (string, int) {
	switch text[0] {
	case '%':
		if c, ok := hexNumber(text, 1, 2); ok {
			return string([]byte{byte(c)}), 3
		}
	case '\\':
		if len(text) < 2 {
			return "", 0
		}
		if c, ok := hexNumber(text, 2, 4); ok && text[1] == 'u' {
			return string(c), 6
		}
		if i := strings.IndexByte("nrtbf", text[1]); i >= 0 {
			return "\n\r\t\b\f"[i : i+1], 2
		}
		return string(text[1:2]), 2
	case '&':
		return entity(text)
	}
	return "", 0
}

// hexNumber reads exactly n hexadecimal digits.
func hexNumber(text []byte, at, n int) (rune, bool) {
	if len(text) < at+n {
		return 0, false
	}
	return number(text[at:at+n], 16)
}

func number(digits []byte, base rune) (rune, bool) {
	var value rune
	for _, c := range digits {
		d := rune(strings.IndexByte("0123456789abcdef", c|0x20))
		if c >= '0' && c <= '9' {
			d = rune(c - '0')
		}
		if d < 0 || d >= base || value > utf8.MaxRune {
			return 0, false
		}
		value = value*base + d
	}
	return value, len(digits) > 0
}

// entity reads an HTML entity of those that escape functions write.
func entity(text []byte) (string, int) {
	end := bytes.IndexByte(text[:min(len(text), 12)], ';')
	if end < 2 {
		return "", 0
	}
	name := text[1:end]
	switch string(name) {
	case "amp":
		return "&", end + 1
	case "lt":
		return "<", end + 1
	case "gt":
		return ">", end + 1
	case "quot":
		return `"`, end + 1
	case "apos":
		return "'", end + 1
	}
	if name[0] != '#' || len(name) < 2 {
		return "", 0
	}
	digits, base := name[1:], rune(10)
	if digits[0]|0x20 == 'x' {
		digits, base = digits[1:], 16
	}
	if c, ok := number(digits, base); ok {
		return string(c), end + 1
	}
	return "", 0
}
