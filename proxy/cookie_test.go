package proxy

import (
	"net/http"
	"strings"
	"testing"

	"attache/internal/exchange"

	"github.com/google/go-cmp/cmp"
)

func cookieNames(plain ...string) names {
	var n names
	for _, text := range plain {
		n = append(n, newName(exchange.Name{In: exchange.Cookie, Name: text}))
	}
	return n
}

func TestStripCookies(t *testing.T) {
	for _, tc := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"sid=1"}, nil},
		{[]string{"sid"}, nil},
		{[]string{"sid=1; b=2"}, []string{"b=2"}},
		{[]string{"a=1;  sid=1;b=2"}, []string{"a=1;b=2"}},
		{[]string{"a=1; SID=1 ; Sid=2"}, []string{"a=1"}},
		{[]string{"a=1", "sid=2", "b=3"}, []string{"a=1", "b=3"}},
		{[]string{"a=1, sid=2"}, []string{"a=1"}},
		{[]string{"a=1; \xa0sid\u2003=2;\vsid=3; \x00sid"}, []string{"a=1"}},
		{[]string{"xsid=1; sidx=2; a=sid=3"}, []string{"xsid=1; sidx=2; a=sid=3"}},
		{[]string{`a="x; sid=3; y"`}, []string{`a="x; y"`}},
	} {
		got := stripCookies(tc.in, cookieNames("sid"))
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("stripCookies(%q): %s", tc.in, diff)
		}
	}
}

func TestStripCookiesKeepsOne(t *testing.T) {
	n := cookieNames("id")
	n[0].keepOne = true
	for in, want := range map[string]string{"id=1; a=2": "id=1; a=2", "id=1; id=2; a=2": "a=2", "ID=1; a=2": "a=2", "id ; \xa0id=1; a=2": "a=2", "id=; a=2": "a=2"} {
		if got := strings.Join(stripCookies([]string{in}, n), "|"); got != want {
			t.Errorf("stripCookies(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzCookie: the injected cookie is there exactly once for net/http and for a
// parser that splits at commas too.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{"a=1; sid=2", "sid=1,sid=2", `a="; sid=3"`, " sid = 4;", "SID"} {
		f.Add(seed, "b=1")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		value := addCookie(stripCookies([]string{one, two}, cookieNames("sid")), "sid", "good")
		count := 0
		for cookie := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' }) {
			name, _, _ := strings.Cut(cookie, "=")
			if strings.EqualFold(strings.Trim(name, " \t"), "sid") {
				count++
			}
		}
		if count != 1 || !strings.HasSuffix(value, "sid=good") {
			t.Errorf("%q and %q became %q", one, two, value)
		}
		r := http.Request{Header: http.Header{"Cookie": {value}}}
		if got := r.CookiesNamed("sid"); len(got) != 1 || got[0].Value != "good" {
			t.Errorf("net/http reads %v from %q", got, value)
		}
	})
}
