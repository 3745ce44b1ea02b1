package terminal

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/width"
)

// TestWidthsAreThoseOfUnicode compares the widths with Unicode's own table, for
// every character that may be written.
func TestWidthsAreThoseOfUnicode(t *testing.T) {
	for r := rune(' '); r <= unicode.MaxRune; r++ {
		if Clean(string(r)) != string(r) || unicode.In(r, unicode.Mn, unicode.Me) || r >= 0x1160 && r <= 0x11ff {
			continue
		}
		want := 1
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			want = 2
		}
		if got := Width(string(r)); got != want {
			t.Errorf("%U %c has %d columns, want %d", r, r, got, want)
		}
	}
}

func TestWidthOfTexts(t *testing.T) {
	for text, want := range map[string]int{
		"":             0,
		"plain":        5,
		"应用不存在":        10,
		"한글":           4,
		"e\u0301te":    3, // combining accent
		"नमस्ते":       4, // two vowel signs and a virama have no width, one sign has
		"\u1100\u1161": 2, // one syllable of two Jamo
		"🚀 ok":         5,
		"ｆｕｌｌ":         8,
		"…":            1,
	} {
		if got := Width(text); got != want {
			t.Errorf("%q has %d columns, want %d", text, got, want)
		}
	}
}

// TestClean: what reaches a terminal is text.
func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain text":                      "plain text",
		"a\tb":                            "a\tb",
		"\x1b]0;title\x07\x1b[31mred":     "]0;title[31mred",
		"\x9b31m 8 bits":                  "\ufffd31m 8 bits",
		"\u009b31m C1":                    "31m C1",
		"a\r\nb\x00\x7f":                  "ab",
		"moc.elpmaxe\u202e \u2066x\u200b": "moc.elpmaxe x",
		"❤\ufe0f":                         "❤",
		"no\u00a0break\u3000wide":         "no break wide",
		"应用":                              "应用",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got, want := OneLine("one\r\ntwo\n\n\tthree\x1b[A"), "one; two;  three[A"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"abcd", 1, "…"},
		{"abcd", 0, ""},
		{"abcd", -1, ""},
		{"应用不存在", 10, "应用不存在"},
		{"应用不存在", 9, "应用不存…"},
		{"应用不存在", 8, "应用不…"}, // half a character is none
		{"e\u0301tude", 4, "e\u0301tu…"},
	} {
		if got := Cut(c.text, c.columns); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.text, c.columns, got, c.want)
		}
	}
	for _, c := range []struct{ got, want string }{
		{Left("应", 4), "应  "}, {Right("应", 4), "  应"}, {Left("abcd", 3), "ab…"}, {Right("应用", 3), "应…"}, {Left("应用", 2), "… "},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text           string
		columns, lines int
		want           string
	}{
		{"", 10, 0, ""},
		{"short", 10, 0, "short"},
		{"one two three four", 9, 0, "one two|three|four"},
		{"one two three four", 8, 0, "one two|three|four"},
		{"one two three four", 7, 2, "one two|three …"},
		{"unbreakable", 4, 0, "unbr|eaka|ble"},
		{"a unbreakable", 4, 0, "a|unbr|eaka|ble"},
		{"应用不存在或已被停用", 7, 0, "应用不|存在或|已被停|用"},
		{"  spaces   between  ", 6, 0, "spaces|betwee|n"},
		{"应用", 1, 0, "应|用"},
	} {
		if got := strings.Join(Wrap(c.text, c.columns, c.lines), "|"); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

// TestColorsAreForTerminals: a pipe gets none, whatever the environment says.
func TestColorsAreForTerminals(t *testing.T) {
	var b strings.Builder
	if p := Colors(&b, func(string) string { return "" }); bool(p) || Moves(&b, func(string) string { return "xterm" }) || Is(&b) {
		t.Error("a buffer is taken for a terminal")
	}
	if columns, lines := Size(&b); columns != 80 || lines != 24 {
		t.Errorf("a buffer has %d columns and %d lines", columns, lines)
	}
	if got := Painter(false).Paint(Bad, "x") + Painter(true).Paint(0, "y") + Painter(true).Paint(Bad, ""); got != "xy" {
		t.Errorf("got %q", got)
	}
	if got, want := Painter(true).Paint(Bad, "x"), "\x1b[1;31mx\x1b[m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeys(t *testing.T) {
	for keys, want := range map[string]byte{
		"": 0, "x": 0, "q": quitKey, "Q": quitKey, "\x03": quitKey, "xyq": quitKey, "\x1a": pauseKey, "x\x1aq": pauseKey,
		"\x1b[A": 0, "\x1b[1;5qx": 0, "\x1bOq": 0, "\x1bq": 0, "\x1b": 0, "\x1b[": 0,
		"\x1b[Aq": quitKey, "\x1bOAq": quitKey, "\x1b[1;5A\x1a": pauseKey,
	} {
		if got := command([]byte(keys)); got != want {
			t.Errorf("%q means %q, want %q", keys, got, want)
		}
	}
}

// TestPalette: every style can be read on black and on white. Of the 16 colours
// that leaves red, green and magenta; yellow (33) and cyan (36) vanish on white,
// blue (34) on black, and nobody knows the background of grey (37, 90).
func TestPalette(t *testing.T) {
	allowed := map[string]bool{"1": true, "2": true, "31": true, "32": true, "35": true}
	for s := Bold; s <= Faint; s++ {
		for part := range strings.SplitSeq(s.sgr(), ";") {
			if !allowed[part] {
				t.Errorf("style %d uses SGR %s", s, part)
			}
		}
	}
}
