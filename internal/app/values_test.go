package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestValuesSurvive sends values that have been spoilt on their way by others: an
// identifier with more digits than a float holds, a token that looks
// percent-encoded, and one of six kilobytes; from the login to the upstream, byte by
// byte.
func TestValuesSurvive(t *testing.T) {
	const id = "9007199254740993" // 2^53 + 1, the first that a float64 does not hold
	const largest = "9223372036854775807"
	for name, token := range map[string]string{
		"percent":   "eyJjcmVhdGVUaW1lI%2B%2Fab+/=In0%3D",
		"6 KB":      strings.Repeat("0123456789abcdef", 6*64),
		"delimiter": `a&b=c#d?e/f+g%20h~"'\<>`,
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var login string
			vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				login = string(body)
				mu.Unlock()
				fmt.Fprintf(w, `{"token":%q,"id":%s,"list":[{"id":%s}]}`, token, largest, id)
			}))
			defer vendor.Close()
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s\n%s\n%s\n%s", r.Header.Get("X-Token"), r.Header.Get("Cookie"), r.Header.Get("X-Ids"), r.URL.RawQuery)
			}))
			defer api.Close()
			w := start(t, fmt.Sprintf(`
credentials:
  c: {recipe: %s, with: {endpoint: %s, id: %s, user: {header: X-User}}}
routes:
  - {path: /, upstream: %q, use: [c]}
`, recipeFile(t, `
recipe: values
params:
  endpoint: {required: true, type: url}
  id: {type: int}
  user: {type: int}
tokens:
  access:
    request: {url: "${endpoint}/login", json: {id: "${id}", user: "${user}", text: "u${user}"}}
    value: {json: token}
    outputs: {id: {json: id}, other: {json: list.0.id}}
    lifetime: 1h
inject:
  - {header: X-Token, value: "${access}"}
  - {query: token, value: "${access}"}
  - {cookie: token, value: "${access}"}
  - {header: X-Ids, value: "${access.id} ${access.other}"}
`), vendor.URL, id, api.URL))
			a := w.do("GET", "/x?y=%3D", "", "X-User", "-"+largest)
			if a.status != http.StatusOK {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			mu.Lock()
			defer mu.Unlock()
			if want := `{"id":` + id + `,"user":-` + largest + `,"text":"u-` + largest + `"}`; login != want {
				t.Errorf("the login sent %s, want %s", login, want)
			}
			if want := strings.Join([]string{token, "token=" + token, largest + " " + id, "y=%3D&token=" + escaped(token)}, "\n"); a.body != want {
				t.Errorf("the upstream got %.1000q\nwant %.1000q", a.body, want)
			}
		})
	}
}

// escaped percent-encodes all but RFC 3986's unreserved characters, each on its own:
// what decodes it gets exactly text.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if strings.IndexByte("-._~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
