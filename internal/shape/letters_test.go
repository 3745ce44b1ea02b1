package shape_test

import (
	"regexp"
	"strings"
	"testing"

	"attache/internal/shape"
)

// The functions accept what these expressions do, of which the schemas have some.
func TestLettersMeanWhatTheExpressionsSay(t *testing.T) {
	same := map[string]func(string) bool{
		`^[a-z][a-z0-9_-]*$`:                                shape.IsName,
		`^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*$`:           func(s string) bool { return shape.AreNames(s, ".") },
		`^[a-z][a-z0-9_-]*(/[a-z][a-z0-9_-]*)*$`:            func(s string) bool { return shape.AreNames(s, "/") },
		`^[A-Za-z_][A-Za-z0-9_]*$`:                          shape.IsVariable,
		`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`:           shape.IsHostLabel,
		`^[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*$`:                func(s string) bool { return shape.Only(s, shape.PathLetters) },
		`^(|[a-z0-9_]|[a-z0-9_][a-z0-9_-]{0,61}[a-z0-9_])$`: func(s string) bool { return s == "" || shape.IsHostName(s) && !strings.Contains(s, ".") },
	}
	texts := []string{"", "a", "ab-c_2", "-a", "a-", "_", "_a", "2", "2a", "A", "aB", "a.b", "a..b", ".a", "a.", "a/b", "a//b", "a/", "/", "a.b/c",
		"a b", "a\n", "\na", "ä", "aä", "ſ", "K", "a\x00", "a\xff", "%41", "~!$&'()*+,;=:@/%", "?", "#", "\"", "a-b.c-", "-", "--", "a--b",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 62) + "-"}
	for b := range 256 {
		texts = append(texts, string([]byte{byte(b)}), string([]byte{'a', byte(b)}), string([]byte{'a', byte(b), 'a'}))
	}
	for expression, accepts := range same {
		re := regexp.MustCompile(expression)
		for _, text := range texts {
			if got, want := accepts(text), re.MatchString(text); got != want {
				t.Errorf("%s: %q is accepted: %v, want %v", expression, text, got, want)
			}
		}
	}
}

func TestHostNamesAreBounded(t *testing.T) {
	label := strings.Repeat("a", 62) + "."
	for name, want := range map[string]bool{
		"api.example.com": true, "a..b": false, "example.com.": false, "API": false,
		strings.Repeat(label, 4) + "b": true, strings.Repeat(label, 4) + "bb": false,
	} {
		if got := shape.IsHostName(name); got != want {
			t.Errorf("IsHostName(%q) = %v, want %v", name, got, want)
		}
	}
}
