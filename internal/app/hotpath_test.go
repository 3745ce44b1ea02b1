package app

import (
	"context"

	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"attache/internal/config"
	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// hotPath is what happens to the tokens of a request when nothing is wrong, with
// the real engine and a real plan.
func hotPath(tb testing.TB) func() {
	dir := tb.TempDir()
	recipe := `
recipe: own
params: {endpoint: {required: true, type: url}, key: {required: true, secret: true}}
tokens:
  access:
    request: {method: POST, url: "${endpoint}/login", json: {key: "${key}"}}
    value: {json: token}
    lifetime: [1h]
inject:
  - {header: Authorization, value: "Bearer ${access}"}
  - {header: X-Api, value: fixed}
  - {query: access_token, value: "${access}"}
refused: [{token: access, status: 401}]
renewed: [{token: access, header: X-Renewed, lifetime: 1h, hide: true}]
`
	if err := os.WriteFile(filepath.Join(dir, "own.yaml"), []byte(recipe), 0o600); err != nil {
		tb.Fatal(err)
	}
	cfg, err := config.Parse("test.yaml", []byte(`
credentials: {c: {recipe: ./own.yaml, with: {endpoint: "http://127.0.0.1:1", key: k}}}
routes: [{path: /, upstream: "http://127.0.0.1:1", use: [c]}]
`), dir)
	if err != nil {
		tb.Fatal(err)
	}
	engine := refresher.New(refresher.Config{})
	pool, err := engine.Add(refresher.Definition{
		Credential: "c", Token: "access", Key: cfg.Credentials[0].Program.Tokens()[0].Key, Source: fixedSource{},
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- engine.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-ended })

	plan := cfg.Routes[0].Plan
	request := exchange.Head{Method: "GET", Host: "example.com", Path: "/x", Header: http.Header{"Accept": {"*/*"}}}
	ans := exchange.Head{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}}
	tokens := make([]refresher.Token, 1)
	var fields []exchange.Field
	once := func() {
		params, err := plan.Params(request)
		if err != nil {
			tb.Fatal(err)
		}
		in, err := pool.Instance(params)
		if err != nil {
			tb.Fatal(err)
		}
		if tokens[0], err = in.Token(ctx); err != nil {
			tb.Fatal(err)
		}
		if fields, err = plan.AppendFields(fields[:0], params, tokens); err != nil || len(fields) != 3 {
			tb.Fatal(len(fields), err)
		}
		if plan.WantsBody(request, ans) != exchange.NoBody {
			tb.Fatal("the body is wanted")
		}
		if v := plan.Judge(request, ans, nil); v.Refused != nil || v.Renewed != nil {
			tb.Fatal("the answer is not taken as it is")
		}
		in.Release()
	}
	once()
	return once
}

type fixedSource struct{}

func (fixedSource) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	return refresher.Token{Value: secret.New("a-token"), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func TestHotPathAllocatesNothing(t *testing.T) {
	once := hotPath(t)
	if n := testing.AllocsPerRun(1000, once); n != 0 {
		t.Errorf("injection and judgement of a request make %v allocations, want none", n)
	}
}

func BenchmarkHotPath(b *testing.B) {
	once := hotPath(b)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}
