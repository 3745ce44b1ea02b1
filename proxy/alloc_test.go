package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// memoPlan renders its header once for each generation, as plans should.
type memoPlan struct{ *testPlan }

func (p memoPlan) AppendFields(dst []exchange.Field, _ refresher.Params, tokens []refresher.Token) ([]exchange.Field, error) {
	text, ok := tokens[0].Memo(p.testPlan)
	if !ok {
		text = "Bearer " + tokens[0].Value.Reveal()
		tokens[0].SetMemo(p.testPlan, text)
	}
	return append(dst, exchange.Field{Name: "Authorization", Value: text}), nil
}

// freshSlot is a slot of a running engine whose token is there.
func freshSlot(t testing.TB) Slot {
	e := refresher.New(refresher.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go e.Run(ctx)
	pool, err := e.Add(refresher.Definition{
		Credential: "cred", Token: "access", Key: []refresher.KeyPart{{Name: "token"}},
		Source: fetchFunc(func() (refresher.Token, error) { return lasting("token1"), nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := pool.Instance(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := instance.Token(ctx); err != nil {
		t.Fatal(err)
	}
	instance.Release()
	return Slot{Credential: "cred", Token: "access", Pool: pool}
}

type fetchFunc func() (refresher.Token, error)

func (f fetchFunc) Fetch(context.Context, refresher.Input) (refresher.Token, error) { return f() }

// TestHotPathAllocatesNothing: with a fresh token and no body rules, finding the
// route, stripping, injecting and judging allocate nothing.
func TestHotPathAllocatesNothing(t *testing.T) {
	plan := memoPlan{bearerPlan()}
	plan.strip = append(plan.strip, exchange.Name{In: exchange.Query, Name: "access_token"}, exchange.Name{In: exchange.Cookie, Name: "sid"})
	r, err := newRoute(Route{
		Name: "api", Path: "/api", Upstream: mustURL(t, "https://up.example"), Plan: plan,
		Slots: []Slot{freshSlot(t)}, Wait: time.Second, Transport: fakeTransport(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.metrics = noMetrics{}
	var routes table
	if err := routes.add(r); err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Accept": {"*/*"}, "Connection": {"keep-alive"}, "Cookie": {"a=1; b=2"}, "X-Request-Id": {"1"}}
	answer := http.Header{"Content-Type": {"application/json"}}
	ctx := t.Context()
	var s session
	var fields []exchange.Field
	var stripped strippedHeader
	run := func() {
		path, query, _, _ := splitTarget("/api/v1/items?page=1&size=20")
		if hasDotSegment(path) || routes.find("localhost:8484", path).routes[0] != r {
			t.Fatal("the request is not admitted")
		}
		query = stripQuery(query, r.strip.query)
		stripped = strippedHeader{header: header, strip: &r.strip, cookies: stripCookies(header["Cookie"], r.strip.cookies)}
		declared := connectionFields(header["Connection"])
		for key, values := range header {
			_, ok := declared[key]
			_ = ok || isHop(key) || r.strip.header(key, values)
		}
		if s.begin(ctx, r, nil) != nil {
			t.Fatal("no token")
		}
		var err error
		if fields, err = plan.AppendFields(fields[:0], s.params, s.tokens); err != nil || len(fields) != 1 {
			t.Fatal("nothing was injected")
		}
		v := plan.Judge(
			exchange.Head{Method: "GET", Path: path[len("/api"):], RawQuery: query, Header: &stripped},
			exchange.Head{Status: 200, Header: answer}, nil)
		if again, err := s.settle(ctx, v, ""); again || err != nil {
			t.Fatal("the answer was not passed on")
		}
		s.release()
	}
	run() // the first run renders the field and grows the slices
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// discardWriter is a ResponseWriter that costs next to nothing.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardWriter) WriteHeader(int)             {}
func (w *discardWriter) Flush()                      {}

// BenchmarkServeHTTP is everything but the network and net/http's own work.
func BenchmarkServeHTTP(b *testing.B) {
	ans := http.Header{"Content-Type": {"application/json"}, "Date": {"x"}, "Content-Length": {"5"}}
	rt := fakeTransport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: ans, Body: &fiveBytes{}, ContentLength: 5}, nil
	})
	p, err := New(Config{Routes: []Route{{
		Name: "api", Upstream: mustURL(b, "https://up.example"), Plan: memoPlan{bearerPlan()},
		Slots: []Slot{freshSlot(b)}, Wait: time.Second, Transport: rt,
	}}})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/v1/items?page=1", nil)
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}, "Accept-Encoding": {"gzip"}}
	w := &discardWriter{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		p.ServeHTTP(w, r)
	}
}

type fiveBytes struct{ read bool }

func (f *fiveBytes) Read(p []byte) (int, error) {
	if f.read {
		return 0, io.EOF
	}
	f.read = true
	return copy(p, "hello"), io.EOF
}

func (*fiveBytes) Close() error { return nil }
