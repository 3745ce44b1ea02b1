package proxy

import (
	"net/url"
	"strings"
	"testing"

	"attache/internal/exchange"
)

func queryNames(plain ...string) names {
	var n names
	for _, text := range plain {
		n = append(n, newName(exchange.Name{In: exchange.Query, Name: text}))
	}
	return n
}

func TestStripQuery(t *testing.T) {
	n := queryNames("access_token", "a b")
	for raw, want := range map[string]string{
		"":                                  "",
		"x=1":                               "x=1",
		"access_token=1":                    "",
		"access_token":                      "",
		"access_token=1&x=1":                "x=1",
		"x=1&access_token=1":                "x=1",
		"x=1&access_token=1&y=%zz&&z":       "x=1&y=%zz&&z",
		"access_token=1&access_token=2&x":   "x",
		"x&access_token=1&access_token=2":   "x",
		"&access_token=1&x":                 "&x",
		"access%5ftoken=1&x":                "x",
		"%61ccess%5Ftoken=1&x":              "x",
		"ACCESS_TOKEN=1&x":                  "x",
		"x=1;access_token=1&y":              "x=1&y",
		"access_token%20=1":                 "access_token%20=1",
		"access_token[]=1":                  "",
		"x&access_token%5b0%5D=1&y":         "x&y",
		"access_token[a][b]":                "",
		"access_token]=1&x[access_token]=2": "access_token]=1&x[access_token]=2",
		"xaccess_token=1&access_tokenx=2&=": "xaccess_token=1&access_tokenx=2&=",
		"a+b=1&a%20b=2&a b=3&a%2bb=4":       "a%2bb=4",
		"x=access_token=1":                  "x=access_token=1",
	} {
		if got := stripQuery(raw, n); got != want {
			t.Errorf("stripQuery(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestStripQueryKeepsOne(t *testing.T) {
	n := queryNames("id")
	n[0].keepOne = true
	for raw, want := range map[string]string{
		"id=1":            "id=1",
		"x&id=1":          "x&id=1",
		"id=1&id=2":       "",
		"id=":             "",
		"id":              "",
		"%69d=1":          "",
		"ID=1":            "",
		"id=1&ID=2&%49d=": "id=1",
	} {
		if got := stripQuery(raw, n); got != want {
			t.Errorf("stripQuery(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestValidQuery(t *testing.T) {
	for raw, want := range map[string]bool{
		"": true, "a=b&c": true, "a=%20%Ff": true, "%": false, "a=%2": false, "a=%zz": false, "a;b": false, "a=%g0": false,
	} {
		if got := validQuery(raw); got != want {
			t.Errorf("validQuery(%q) = %v", raw, got)
		}
	}
}

// FuzzQuery: whatever the client sends, the injected parameter is there exactly
// once, in every reading of the query, and everything else is as it was.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"a=1", "token=x", "%74oken=x&b", "TOKEN=1;token=2", "a&&token&b=%zz", "t%6Fken=%26token=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if hasControl(raw) || strings.Contains(raw, "#") {
			return
		}
		left := stripQuery(raw, queryNames("token"))
		got := addQuery(left, "token", "good")
		if !strings.HasSuffix(got, "token=good") {
			t.Fatalf("%q became %q", raw, got)
		}
		// A lenient reader takes both separators and leaves bad escapes alone.
		count := 0
		for piece := range strings.FieldsFuncSeq(got, func(r rune) bool { return r == '&' || r == ';' }) {
			name, _, _ := strings.Cut(piece, "=")
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
			if strings.EqualFold(name, "token") && len(name) == len("token") {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%q became %q with %d tokens", raw, got, count)
		}
		if strings.Count(raw, "&")+strings.Count(raw, ";") == strings.Count(left, "&")+strings.Count(left, ";") && left != raw && left != "" {
			t.Errorf("%q lost bytes: %q", raw, left)
		}
	})
}

// TestStrippingIsLinear: a head full of repeated names costs no more than its
// length. Done once for each occurrence, the count alone would take minutes.
func TestStrippingIsLinear(t *testing.T) {
	const many = 200_000
	n := append(queryNames("a", "b"), queryNames("c")...)
	for i := range n {
		n[i].keepOne = true
	}
	if got := stripQuery(strings.Repeat("a=1&b=1&", many), n); strings.Trim(got, "&") != "" {
		t.Errorf("%d bytes are left", len(got))
	}
	cookies := cookieNames("a")
	cookies[0].keepOne = true
	if got := stripCookies([]string{strings.Repeat("a=1;", many)}, cookies); len(got) != 0 {
		t.Errorf("%d cookies are left", len(got))
	}
}
