package recipe

import (
	"regexp"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"/a", "/a", true},
		{"/a", "/a/", false},
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/", true},
		{"/a/*", "/a/b/c", false},
		{"/a/**", "/a/b/c", true},
		{"/a/**", "/a", false},
		{"**/token", "/token", true},
		{"**/token", "/x/y/token", true},
		{"**/token", "/x/token/y", false},
		{"**/token", "/x/mytoken", false},
		{"**", "", true},
		{"**", "/a\nb", true},
		{"/a**a/b", "/a/b", false}, // the texts do not overlap
		{"/a**a/b", "/aa/b", true},
		{"/x**/a/**/b**/y", "/x/a/1/b/y", true},
		{"/x**/a/**/b**/y", "/x/a/b/y", false},
		{"**/auth/**/login/*", "/v1/auth/x/login/me", true},
		{"**/auth/**/login/*", "/v1/auth/x/login/me/too", false},
		{"/a***b", "/a/x/b", true},
		{"/a.b", "/axb", false},
		{"**/\u00e9", "/x/\u00e9", true},
		{"/\uFFFD", "/\xff", true},
	} {
		g, err := newGlob(tt.glob)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.match(tt.path); got != tt.want {
			t.Errorf("%s matches %q: %v, want %v", tt.glob, tt.path, got, tt.want)
		}
	}
}

// FuzzGlob: the short way decides as the regular expression does.
func FuzzGlob(f *testing.F) {
	f.Add("**/auth/parse_token", "/v1/auth/parse_token")
	f.Add("/v1/**", "/v1/x")
	f.Add("/a**b**a/b", "/a/b/a/b")
	f.Add("**/auth/**/login/*", "/auth/x/login/y")
	f.Add("/\uFFFD**", "/\xff\xfe")
	f.Add("**\u00e9**", "\xc3\xc3\xa9")
	f.Fuzz(func(t *testing.T, text, path string) {
		if len(text) > 1000 || strings.Count(text, "*") > 50 {
			return
		}
		g, err := newGlob(text)
		if err != nil {
			return
		}
		if got, want := g.match(path), regexp.MustCompile(globPattern(text)).MatchString(path); got != want {
			t.Errorf("%q matches %q: %v, want %v", text, path, got, want)
		}
	})
}
