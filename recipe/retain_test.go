package recipe

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"attache/internal/exchange"
	"attache/refresher"
)

// TestParamsKeepNoRequest: an instance lives on with the values of its
// parameters, and must not keep the whole request that they came with.
func TestParamsKeepNoRequest(t *testing.T) {
	const recipe = `
recipe: x
params: {a: {}, b: {}, c: {default: "${a}"}, d: {}}
tokens: {t: {request: {url: "https://h/", json: {a: "${a}", b: "${b}", c: "${c}", d: "${d}"}}, value: {json: t}, lifetime: 1h}}
inject: [{header: X, value: "${t}"}]
`
	c := loadConfig(t, recipe, "credentials: {c: {with: {a: {query: a}, b: {header: B}, c: {query: c}, d: {header: D, decode: percent}}}}\nroute: {use: [c]}\n")
	query := "junk=" + strings.Repeat("x", 1000) + "&a=anna"
	head := "B: ben\r\nD: dora\r\n" + strings.Repeat("x", 1000) // net/http cuts values out of one text
	ben, dora := head[3:6], head[11:15]
	params, err := c.plan.Params(exchange.Head{RawQuery: query, Header: http.Header{"B": {ben}, "D": {dora}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(params, " "); got != "anna ben anna dora" {
		t.Fatalf("the parameters are %s", got)
	}
	inside := func(part, whole string) bool {
		start, at := uintptr(unsafe.Pointer(unsafe.StringData(whole))), uintptr(unsafe.Pointer(unsafe.StringData(part)))
		return at >= start && at < start+uintptr(len(whole))
	}
	if !inside(ben, head) {
		t.Fatal("the test does not tell parts from copies")
	}
	for i, text := range params {
		if inside(text, query) || inside(text, head) {
			t.Errorf("parameter %d, %s, is a part of the request", i, text)
		}
	}
}

// TestLoginCannotBeSentTwice: net/http sends a request again when it can get
// its body again, or when it says itself that this does no harm.
func TestLoginCannotBeSentTwice(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  json: {request: {url: "https://h/", json: {a: 1}}, value: {json: t}, lifetime: 1h}
  form: {request: {url: "https://h/", form: {a: "1"}}, value: {json: t}, lifetime: 1h}
  text: {request: {url: "https://h/", text: a}, value: {json: t}, lifetime: 1h}
  empty: {request: {url: "https://h/", form: {}}, value: {json: t}, lifetime: 1h}
  none: {request: {url: "https://h/", method: POST}, value: {json: t}, lifetime: 1h}
`
	c := loadConfig(t, recipe, "credentials: {c: {with: {}}}")
	for _, program := range c.creds["c"].Tokens() {
		calls := 0
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			calls++
			if req.GetBody != nil || req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != "" {
				t.Errorf("%s: net/http may send it again", program.Name)
			}
			return nil, io.ErrUnexpectedEOF
		})
		if _, err := program.Source(rt, "").Fetch(t.Context(), refresher.Input{}); err == nil || calls != 1 {
			t.Errorf("%s: %d requests, error %v", program.Name, calls, err)
		}
	}
}
