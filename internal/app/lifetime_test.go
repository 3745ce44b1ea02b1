package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// oneVendor answers every login with a new token and whatever is said about its
// lifetime.
type oneVendor struct {
	ttl    string // JSON; empty: the member is missing
	logins int
	times  []time.Time
}

func (v *oneVendor) RoundTrip(*http.Request) (*http.Response, error) {
	v.logins++
	v.times = append(v.times, time.Now())
	member := ""
	if v.ttl != "" {
		member = `,"ttl":` + v.ttl
	}
	body := fmt.Sprintf(`{"token":"t%d"%s}`, v.logins, member)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// TestStrangeLifetimes runs a recipe and the engine for ten virtual minutes
// against lifetimes as vendors get them wrong. Those that make no sense count
// as a minute, so that there are never more than two logins in any minute.
func TestStrangeLifetimes(t *testing.T) {
	tests := []struct {
		name, ttl, as string
		most          int // logins in ten minutes
	}{
		{"zero", "0", "seconds", 14},
		{"missing", "", "seconds", 14},
		{"null", "null", "seconds", 14},
		{"a string", `"600"`, "seconds", 2},
		{"far too long", "1000000000000", "seconds", 14},
		{"negative", "-5", "seconds", 14},
		{"in the past", "1000000000", "epoch", 14},
		{"in the past, in milliseconds", "1000000000000", "epoch", 14},
		{"no number", `"soon"`, "seconds", 14},
		{"a huge exponent", "1e300", "seconds", 14},
		{"one second", "1", "seconds", 601}, // honest, and bounded by min_interval
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runLifetime(t, test.ttl, test.as, test.most) })
		})
	}
}

func runLifetime(t *testing.T, ttl, as string, most int) {
	var rep yamldoc.Report
	r, ok := recipe.Parse(&rep, "own.yaml", []byte(`
recipe: own
tokens:
  access:
    request: {method: POST, url: "https://example.com/login"}
    value: {json: token}
    lifetime: [{json: ttl, as: `+as+`}]
inject: [{header: Authorization, value: "Bearer ${access}"}]
`))
	if !ok {
		t.Fatal(rep.Err())
	}
	c, ok := recipe.Bind(&rep, r, recipe.BindConfig{Name: "c"})
	if !ok {
		t.Fatal(rep.Err())
	}
	vendor := &oneVendor{ttl: ttl}
	program := c.Tokens()[0]
	engine := refresher.New(refresher.Config{})
	pool, err := engine.Add(refresher.Definition{Credential: "c", Token: "access", Key: program.Key, Source: program.Source(vendor, ""), Policy: program.Policy})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	parts.Go(func() { engine.Run(ctx) })
	in, err := pool.Instance(nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for time.Since(start) < 10*time.Minute {
		if _, err := in.Token(ctx); err != nil { // requests keep asking
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	parts.Wait()
	if vendor.logins < 1 || vendor.logins > most {
		t.Errorf("%d logins in ten minutes, want 1 to %d", vendor.logins, most)
	}
	for i := 1; i < len(vendor.times); i++ {
		if gap := vendor.times[i].Sub(vendor.times[i-1]); gap < time.Second {
			t.Fatalf("two logins within %v", gap)
		}
	}
}
