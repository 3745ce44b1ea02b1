package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// fakeTransport is an upstream without a network.
type fakeTransport func(*http.Request) (*http.Response, error)

func (f fakeTransport) Send(r *http.Request, _ func(int, http.Header)) (*http.Response, error) {
	return f(r)
}

// respond makes an answer with header pairs.
func respond(status int, body string, header ...string) *http.Response {
	ans := &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for i := 0; i < len(header); i += 2 {
		ans.Header.Add(header[i], header[i+1])
	}
	return ans
}

// testPlan is a plan made of functions; those that are nil do nothing.
type testPlan struct {
	strip, keepOne, hide []exchange.Name
	query, bodies        bool
	trailers             bool
	params               func(exchange.Head) (refresher.Params, error)
	fields               func(dst []exchange.Field, params refresher.Params, tokens []refresher.Token) []exchange.Field
	wants                func(req, ans exchange.Head) exchange.BodyWant
	judge                func(req, ans exchange.Head, body []byte) exchange.Verdict
}

func (p *testPlan) Strip() []exchange.Name   { return p.strip }
func (p *testPlan) KeepOne() []exchange.Name { return p.keepOne }
func (p *testPlan) Hide() []exchange.Name    { return p.hide }
func (p *testPlan) InjectsQuery() bool       { return p.query }
func (p *testPlan) HasBodyRules() bool       { return p.bodies }
func (p *testPlan) HasTrailerRules() bool    { return p.trailers }

func (p *testPlan) Params(client exchange.Head) (refresher.Params, error) {
	if p.params == nil {
		return nil, nil
	}
	return p.params(client)
}

func (p *testPlan) AppendFields(dst []exchange.Field, params refresher.Params, tokens []refresher.Token) ([]exchange.Field, error) {
	if p.fields == nil {
		return dst, nil
	}
	return p.fields(dst, params, tokens), nil
}

func (p *testPlan) WantsBody(req, ans exchange.Head) exchange.BodyWant {
	if p.wants == nil {
		return exchange.NoBody
	}
	return p.wants(req, ans)
}

func (p *testPlan) Judge(req, ans exchange.Head, body []byte) exchange.Verdict {
	if p.judge == nil {
		return exchange.Verdict{}
	}
	return p.judge(req, ans, body)
}

// bearerPlan injects slot 0 as a bearer token; 401 refuses it.
func bearerPlan() *testPlan {
	return &testPlan{
		strip: []exchange.Name{header("Authorization")},
		fields: func(dst []exchange.Field, _ refresher.Params, tokens []refresher.Token) []exchange.Field {
			if tokens[0].Value.IsEmpty() {
				return dst
			}
			return append(dst, exchange.Field{Name: "Authorization", Value: "Bearer " + tokens[0].Value.Reveal()})
		},
		judge: func(_, ans exchange.Head, _ []byte) (v exchange.Verdict) {
			if ans.Status == http.StatusUnauthorized {
				v.Refused = []exchange.Refusal{{Slot: 0, Signal: exchange.SignalStatus}}
			}
			return v
		},
	}
}

// source is a scripted vendor. It fails the test when it is asked more often
// than any policy allows.
type source struct {
	t     *testing.T
	fetch func(n int, in refresher.Input) (refresher.Token, error) // n counts from 1

	mu    sync.Mutex
	calls int
}

func (s *source) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	s.mu.Lock()
	s.calls++
	n := s.calls
	s.mu.Unlock()
	if n > 1000 {
		s.t.Error("the vendor is flooded with logins")
		return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: io.EOF}
	}
	if s.fetch != nil {
		return s.fetch(n, in)
	}
	time.Sleep(50 * time.Millisecond)
	return lasting(fmt.Sprint("token", n)), nil
}

func (s *source) logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// lasting is a token that lives for an hour.
func lasting(value string) refresher.Token {
	return refresher.Token{Value: secret.New(value), ExpiresAt: time.Now().Add(time.Hour)}
}

// startEngine runs an engine until the test ends.
func startEngine(t *testing.T) *refresher.Engine { return startEngineWith(t, nil) }

func startEngineWith(t *testing.T, s refresher.Store) *refresher.Engine {
	t.Helper()
	e := refresher.New(refresher.Config{Store: s, Rand: func() float64 { return 0.5 }})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return e
}

// addToken adds a token that src issues to a credential "cred".
func addToken(t *testing.T, e *refresher.Engine, token string, src refresher.Source, more ...func(*refresher.Definition)) Slot {
	t.Helper()
	d := refresher.Definition{
		Credential: "cred", Token: token, Recipe: "test", Source: src,
		Key: []refresher.KeyPart{{Name: "token", Value: secret.New(token)}},
	}
	for _, change := range more {
		change(&d)
	}
	pool, err := e.Add(d)
	if err != nil {
		t.Fatal(err)
	}
	return Slot{Credential: "cred", Token: token, Pool: pool}
}

// newProxy makes a proxy of one route, "api", from / to https://up.example/base
// unless change says otherwise.
func newProxy(t *testing.T, plan Plan, rt Sender, slots []Slot, change ...func(*Route)) *Proxy {
	t.Helper()
	r := Route{
		Name: "api", Upstream: mustURL(t, "https://up.example/base"), Plan: plan, Slots: slots,
		Wait: 5 * time.Second, ReplayMaxBody: 64 << 10, Transport: rt,
	}
	for _, c := range change {
		c(&r)
	}
	p, err := New(Config{Routes: []Route{r}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// get sends a GET through a handler.
func get(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	return do(h, "GET", target, "", header...)
}

// do sends a request through a handler, as a server would.
func do(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, content)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// body reads the whole of a request's body.
func body(t testing.TB, r *http.Request) string {
	t.Helper()
	if r.Body == nil {
		return ""
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Errorf("read the request's body: %v", err)
	}
	r.Body.Close()
	return b.String()
}

// counters is a RouteMetrics that counts.
type counters struct {
	mu          sync.Mutex
	started     int
	codes       map[int]int
	replays     map[string]int
	unavailable map[string]int
	upstream    int
	limited     map[string]int
	traces      []exchange.Trace // of Upstream and Done, as they came
}

func (c *counters) Started() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
}

func (c *counters) Done(_ string, code int, _ time.Duration, trace exchange.Trace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces = append(c.traces, trace)
	count(&c.codes, code)
}

func (c *counters) Upstream(_ time.Duration, trace exchange.Trace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces = append(c.traces, trace)
	c.upstream++
}

func (c *counters) Replay(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count(&c.replays, outcome)
}

func (c *counters) Unavailable(credential, class string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count(&c.unavailable, credential+"/"+class)
}

func (c *counters) Limited(credential, limit string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count(&c.limited, credential+"/"+limit)
}

func count[K comparable](m *map[K]int, key K) {
	if *m == nil {
		*m = map[K]int{}
	}
	(*m)[key]++
}
