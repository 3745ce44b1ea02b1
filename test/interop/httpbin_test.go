package interop

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// binRequest is one request to httpbin. It is made twice, directly and through
// attache, and both answers must be equal.
type binRequest struct {
	method string
	path   string // with the query
	header string // lines of NAME: VALUE
	body   string
	stream bool // the body goes without a length
}

// String names the request on the page and in failures.
func (r binRequest) String() string {
	text := r.method + " " + r.path
	for line := range strings.Lines(r.header) {
		text += fmt.Sprintf(", %.60s", strings.TrimSpace(line))
	}
	if r.body != "" {
		text += fmt.Sprintf(", %d bytes", len(r.body))
	}
	if r.stream {
		text += " without a length"
	}
	return text
}

// binKnown lists the requests that attache answers differently with these protocols
// of client and upstream, and why it may.
func binKnown(client, upstream string) map[string]string {
	known := map[string]string{}
	if client == "http1" && upstream == "h2c" {
		for _, r := range []string{"GET /status/304", "HEAD /status/304", "POST /status/304, 3 bytes"} {
			known[r] = "Go's HTTP/1.1 server writes no `Content-Type` with 304, its HTTP/2 server does; RFC 9110 section 15.4.5 wants none"
		}
	}
	if client == "h2c" && upstream == "http1" {
		known["POST /post, Expect: 100-continue, Content-Type: text/plain, 9 bytes"] =
			"`Expect` does not reach the upstream: Go's HTTP/2 server meets it for the client's connection"
	}
	return known
}

// binPrefix is the path of the route; httpbin itself is at the root of its server.
const binPrefix = "/bin"

// binVaries lists headers of answers that differ between any two calls, for paths
// that begin so.
func binVaries() map[string][]string {
	return map[string][]string{
		"/":               {"Date"},
		"/cache":          {"Last-Modified", "Etag"}, // the time
		"/etag/":          {"Last-Modified"},         // the time
		"/cookies/delete": {"Set-Cookie"},            // with an expiry a year ago
		"/digest-auth/":   {"Www-Authenticate"},      // with a nonce
	}
}

// binRequests are all requests. These endpoints cannot be compared:
//
//	/uuid            a new one with every call
//	/status/A:1,B:1  at random
//	/sse             the time is in the body
//	/websocket/echo  has a suite of its own
//	/cookies/set     with several, which come in any order
//	/range           with several parts, which are separated by something random
func binRequests() []binRequest {
	all := slices.Concat(binPlain(), binStatuses(), binMethods(), binBodies(), binConditions(), binPaths())
	for _, path := range []string{"/get", "/headers", "/html", "/json", "/stream/3", "/bytes/1000?seed=7", "/redirect/3", "/gzip", "/etag/abc", "/cookies"} {
		all = append(all, binRequest{method: "HEAD", path: path})
	}
	return all
}

func binPlain() []binRequest {
	var all []binRequest
	for path := range strings.FieldsSeq(`
/ /encoding/utf8 /forms/post /get /get?a=1&a=2&b /html /xml /json /robots.txt /deny /env /hostname /version /ip /user-agent /headers
/absolute-redirect/1 /absolute-redirect/4 /relative-redirect/1 /relative-redirect/4 /redirect/1 /redirect/4 /redirect/0 /redirect/x
/redirect-to?url=/get /redirect-to?url=https%3A%2F%2Fexample.com%2Fa%3Fb&status_code=307 /redirect-to?url=//example.com/x /redirect-to
/base64/aGVsbG8= /base64/encode/hello /base64/decode/aGVsbG8= /base64/decode/!!
/basic-auth/user/password /hidden-basic-auth/user/password /bearer /digest-auth/auth/user/password /digest-auth/auth/user/password/SHA-256
/bytes/0 /bytes/1?seed=1 /bytes/70000?seed=1 /bytes/1048576?seed=1 /stream-bytes/0?seed=1 /stream-bytes/70000?seed=1&chunk_size=1000 /stream-bytes/1048576?seed=1
/cache /cache/60 /etag/abc /cookies /cookies/set?a=1 /cookies/delete?a=1
/deflate /gzip /brotli /delay/0 /delay/x /delay/0.01 /drip?duration=0&delay=0&numbytes=1000 /drip?duration=0&delay=0&numbytes=5&code=418 /drip?duration=50ms&delay=0&numbytes=5
/dump/request?x=1 /image /image/png /image/jpeg /image/svg /image/webp /image/none /jsonl?count=3&duration=0&delay=0
/links/3 /links/3/0 /links/3/2 /range/1000 /response-headers?X-One=1&X-One=2&X-Two=%C3%A9 /response-headers?Content-Type=text/plain
/stream/1 /stream/50 /trailers /trailers?X-Sum=abc /trailers?X-Sum=abc&X-Other=d&X-Other=e
/unstable?seed=1 /unstable?seed=2 /unstable?failure_rate=0 /unstable?failure_rate=1 /status/999999 /nothing/here`) {
		all = append(all, binRequest{method: "GET", path: path})
	}
	return all
}

// binStatuses asks for every final status.
func binStatuses() []binRequest {
	var all []binRequest
	for code := 200; code < 600; code++ {
		if http.StatusText(code) != "" || code%100 == 99 {
			all = append(all,
				binRequest{method: "GET", path: fmt.Sprintf("/status/%d", code)},
				binRequest{method: "HEAD", path: fmt.Sprintf("/status/%d", code)},
				binRequest{method: "POST", path: fmt.Sprintf("/status/%d", code), body: "x=1"})
		}
	}
	return all
}

// binMethods asks in every method where one is wanted, and where it is not.
func binMethods() []binRequest {
	var all []binRequest
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "BREW"} {
		for _, path := range []string{"/anything", "/anything/more?x=y", "/get", "/head", "/post", "/put", "/patch", "/delete", "/upload"} {
			all = append(all, binRequest{method: method, path: path})
		}
	}
	return all
}

func binBodies() []binRequest {
	multipart := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--b--\r\n"
	bodies := []struct{ kind, body string }{
		{"application/json", `{"a": [1, 2, {"b": "ü"}]}`},
		{"application/json", `{"broken`},
		{"application/x-www-form-urlencoded", "a=1&a=2&b=%20&c"},
		{"multipart/form-data; boundary=b", multipart},
		{"application/octet-stream", string([]byte{0, 1, 2, 255, 254, '\r', '\n'})},
		{"text/plain", strings.Repeat("0123456789abcdef", 16<<10)}, // 256 KiB
		{"text/plain", strings.Repeat("x", 1<<20)},                 // as much as httpbin takes
		{"text/plain", ""},
	}
	var all []binRequest
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for _, b := range bodies {
			r := binRequest{method: method, path: "/anything/body", header: "Content-Type: " + b.kind, body: b.body}
			all = append(all, r)
			if r.body != "" {
				r.stream = true
				all = append(all, r)
			}
		}
	}
	for _, path := range []string{"/post", "/upload", "/trailers?X-Sum=abc", "/dump/request"} {
		all = append(all, binRequest{method: "POST", path: path, header: "Content-Type: text/plain", body: "hello"})
	}
	return append(all, binRequest{method: "POST", path: "/post", header: "Expect: 100-continue\nContent-Type: text/plain", body: "after 100"})
}

// binConditions asks for parts, for what changed, for encodings, and with headers
// that have to arrive as they are.
func binConditions() []binRequest {
	var all []binRequest
	for _, c := range []struct{ path, header string }{
		{"/range/1000", "Range: bytes=0-99"}, {"/range/1000", "Range: bytes=-5"}, {"/range/1000", "Range: bytes=990-"},
		{"/range/1000", "Range: bytes=2000-3000"},
		{"/cache", "If-None-Match: x"}, {"/cache", "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"},
		{"/etag/abc", `If-None-Match: "abc"`}, {"/etag/abc", "If-None-Match: *"}, {"/etag/abc", `If-Match: "other"`}, {"/etag/abc", `If-None-Match: W/"abc", "c"`},
		{"/gzip", "Accept-Encoding: gzip"}, {"/deflate", "Accept-Encoding: deflate, br;q=0.5"}, {"/get", "Accept-Encoding: zstd"},
		{"/image", "Accept: image/webp"}, {"/image", "Accept: text/html"},
		{"/cookies", "Cookie: a=1; b=2"}, {"/cookies", "Cookie: a=1\nCookie: b=\"x y\""},
		{"/headers", "X-Twice: 1\nX-Twice: 2"}, {"/headers", "X-Empty:"}, {"/headers", "X-Latin: caf\xe9"}, {"/headers", "X-Long: " + strings.Repeat("v", 8000)},
		{"/headers", "Forwarded: for=192.0.2.1;proto=https"}, {"/get", "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: example.com"},
		{"/headers", "Via: 1.1 before"}, {"/headers", "Cache-Control: no-cache\nPragma: no-cache"}, {"/user-agent", "User-Agent: mine/1"}, {"/headers", "Referer: https://example.com/"},
		{"/headers", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, {"/headers", "Priority: u=1"}, {"/headers", "Max-Forwards: 3"},
	} {
		all = append(all, binRequest{method: "GET", path: c.path, header: c.header})
	}
	return all
}

// binPaths asks for paths that must not be decoded, cleaned or merged.
func binPaths() []binRequest {
	var all []binRequest
	for _, path := range []string{
		"/anything/a%2Fb", "/anything/a%20b", "/anything/%E4%BD%A0", "/anything/a+b", "/anything/a;b=c", "/anything/a:b@c", "/anything/~a!$&'()*,=",
		"/anything/%7Ea", "/anything/a//b", "/anything/%2e%2e%2e", "/anything/a%3Fb", "/anything/a%25b", "/anything/...", "/anything/a/", "/anything?",
		"/anything?a=b%20c+d", "/anything?=&&=x", "/anything?a=1?b=2", "/anything?%E4%BD%A0=%E5%A5%BD", "/anything?a[]=1&a[]=2", "/anything?a=/../b", "/anything?a=%zz",
	} {
		all = append(all, binRequest{method: "GET", path: path})
	}
	return all
}

// TestHTTPBin compares answers of httpbin through attache with those that it gives
// directly, with either protocol on either side.
func TestHTTPBin(t *testing.T) { inLanes(t, testHTTPBin) }

func testHTTPBin(t *testing.T, l lane) {
	bin := httptest.NewUnstartedServer(httpbin.New(httpbin.WithEnv(map[string]string{"HTTPBIN_A": "1"})).Handler())
	bin.Config.Protocols = protocols(true, true)
	bin.Start()
	defer bin.Close()
	tokens := newTokenServer(t)
	for _, client := range []string{"http1", "h2c"} {
		for _, upstream := range []string{"http1", "h2c"} {
			t.Run(client+" to "+upstream, func(t *testing.T) {
				a := l.start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
credentials:
  c: {recipe: %q}
routes:
  - {path: %s/, upstream: %q, protocol: %s, use: [c]}
`, tokens.recipe(t, "inject: [{header: Authorization, value: \"Bearer ${access}\"}]\n"), binPrefix, bin.URL, upstream))
				// The direct call is made in the upstream's protocol, since httpbin tells what it was asked in.
				c := &binComparison{
					direct:  binSide{root: bin.URL, transport: binTransport(t, upstream), token: "Bearer " + tokens.current()},
					through: binSide{root: "http://" + a.address + binPrefix, transport: binTransport(t, client), token: "Bearer of-the-client"},
				}
				line := suite{
					name:    fmt.Sprintf("httpbin, %s client, %s upstream, answers equal to direct calls", client, upstream),
					version: "go-httpbin " + moduleVersion(t, "github.com/mccutchen/go-httpbin/v2"),
					lane:    l,
				}
				known := binKnown(client, upstream)
				for _, r := range binRequests() {
					line.tests++
					difference := c.compare(t, r)
					reason, ok := known[r.String()]
					switch {
					case difference == "" && ok:
						t.Errorf("%s: equal; remove it from the known exceptions", r)
					case difference == "":
						line.passed++
					case ok:
						line.exceptions = append(line.exceptions, exception{r.String(), reason})
					default:
						t.Errorf("%s\n%s", r, difference)
					}
				}
				if !t.Failed() {
					record(t, line)
				}
			})
		}
	}
}

func protocols(http1, h2c bool) *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(h2c)
	return p
}

func binTransport(t *testing.T, protocol string) *http.Transport {
	transport := &http.Transport{Protocols: protocols(protocol == "http1", protocol == "h2c"), DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// binComparison makes requests on both ways. The direct ones carry what attache
// injects, and the others something that attache has to replace; so what httpbin
// tells about requests must be equal too.
type binComparison struct{ direct, through binSide }

type binSide struct {
	root      string // URL
	transport *http.Transport
	token     string // of the request
}

// binAnswer is what is compared.
type binAnswer struct {
	status          int
	header, trailer http.Header
	body            string
	location        string // as the client would follow it, below its root
}

func (a binAnswer) String() string {
	return fmt.Sprintf("%d %v %v location %q body %.1000q", a.status, a.header, a.trailer, a.location, a.body)
}

// compare makes a request on both ways and returns how the answers differ, if so.
func (c *binComparison) compare(t *testing.T, r binRequest) string {
	t.Helper()
	want, err := c.direct.do(t, r)
	if err != nil {
		t.Fatalf("%s directly: %v", r, err)
	}
	got, err := c.through.do(t, r)
	if err != nil {
		return err.Error()
	}
	if r.method != "HEAD" && (want.header.Get("Content-Length") == "" || got.header.Get("Content-Length") == "") {
		// Framing belongs to each connection. The clients have seen that a length is true.
		delete(want.header, "Content-Length")
		delete(got.header, "Content-Length")
	}
	for name := range binStays() {
		want.header.Del(name)
	}
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return fmt.Sprintf("directly %s\nattache  %s", want, got)
}

// binStays lists the headers of answers that must stay at attache.
func binStays() map[string]string {
	return map[string]string{
		"Proxy-Authenticate": "it is for the next client on the way, RFC 9110 section 11.7.1",
	}
}

func (s binSide) do(t *testing.T, r binRequest) (binAnswer, error) {
	t.Helper()
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	if r.stream {
		body = struct{ io.Reader }{strings.NewReader(r.body)}
	}
	request, err := http.NewRequestWithContext(t.Context(), r.method, s.root, body)
	if err != nil {
		t.Fatal(err)
	}
	// Opaque: the path goes as it is written.
	prefix := strings.TrimPrefix(s.root, "http://"+request.URL.Host)
	path, query, has := strings.Cut(r.path, "?")
	request.URL.Opaque, request.URL.RawQuery, request.URL.ForceQuery = prefix+path, query, has
	for line := range strings.Lines(r.header) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		request.Header.Add(name, strings.TrimSpace(value))
	}
	request.Header.Set("Authorization", s.token)
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "interop") // Go's own names the protocol
	}
	answer, err := s.transport.RoundTrip(request)
	if err != nil {
		return binAnswer{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return binAnswer{}, fmt.Errorf("read the body: %w", err)
	}
	return s.normalize(t, r, answer, string(text)), nil
}

// normalize takes away what may differ: headers that vary, and the root that
// redirects lead to.
func (s binSide) normalize(t *testing.T, r binRequest, answer *http.Response, body string) binAnswer {
	t.Helper()
	header := maps.Clone(answer.Header)
	for path, names := range binVaries() {
		for _, name := range names {
			if _, ok := header[name]; ok && strings.HasPrefix(r.path, path) {
				header[name] = []string{"(varies)"}
			}
		}
	}
	location := header.Get("Location")
	if location != "" {
		base, err := url.Parse(s.root + r.path)
		if err != nil {
			t.Fatal(err)
		}
		target, err := base.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		location = strings.Replace(target.String(), s.root, "(root)", 1)
		delete(header, "Location")
	}
	return binAnswer{status: answer.StatusCode, header: header, trailer: answer.Trailer, body: body, location: location}
}
