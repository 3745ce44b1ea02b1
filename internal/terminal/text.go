package terminal

import (
	"strings"
	"unicode"
)

// Clean returns text without what a terminal could take for more than text:
// control characters, invisible ones and those that turn the direction of what
// follows. Tabs stay, and a line break does not. Bytes that are no UTF-8, among
// them control characters of eight bits, become U+FFFD.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case unicode.Is(unicode.Zs, r):
			return ' '
		case r >= 0xfe00 && r <= 0xfe0f: // terminals do not agree on the width of what they vary
			return -1
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, text)
}

// OneLine is Clean, with the lines of text joined by "; " and a space for a tab.
func OneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.ReplaceAll(Clean(strings.Join(lines, "; ")), "\t", " ")
}

// Width returns how many columns a terminal needs for a text that is clean and
// has no tab.
func Width(text string) int {
	n := 0
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// Cut returns text if it fits into so many columns, and else its beginning and
// an ellipsis.
func Cut(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	if columns <= 0 {
		return ""
	}
	head, _ := split(text, columns-1)
	return head + "…"
}

// Left returns text cut to so many columns, with spaces behind it up to there.
func Left(text string, columns int) string {
	text = Cut(text, columns)
	return text + strings.Repeat(" ", max(0, columns-Width(text)))
}

// Right is [Left] with the spaces before the text.
func Right(text string, columns int) string {
	text = Cut(text, columns)
	return strings.Repeat(" ", max(0, columns-Width(text))) + text
}

// Wrap breaks text into at most so many lines of so many columns, at spaces where
// there are any. What does not fit into the last line is cut; 0 lines: as many as
// it takes.
func Wrap(text string, columns, lines int) []string {
	var wrapped []string
	columns = max(columns, 2) // a wide character fits
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " ") {
		if len(wrapped) == lines-1 {
			return append(wrapped, Cut(text, columns))
		}
		line, rest := split(text, columns)
		if i := strings.LastIndexByte(line, ' '); rest != "" && rest[0] != ' ' && i > 0 {
			line, rest = text[:i], text[i:]
		}
		wrapped = append(wrapped, strings.TrimRight(line, " "))
		text = rest
	}
	return wrapped
}

// split splits text behind the last character that ends within so many columns.
func split(text string, columns int) (head, rest string) {
	for i, r := range text {
		if columns -= runeWidth(r); columns < 0 {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me), r >= 0x1160 && r <= 0x11ff: // joined to what stands before
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}
