package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The fields of /api/status are part of attache's surface.
func TestStatus(t *testing.T) {
	var got string
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		many := keyed("aicc", "messaging")
		// A status of one user's instance, if there were one, stays private.
		many.Single = &refresher.InstanceStatus{Generation: 99, Failures: 1, LastError: "CANARY"}
		f := &fake{
			beat: start,
			pools: []refresher.PoolStatus{
				pool("aicc", "access", refresher.InstanceStatus{
					Phase: refresher.Due, Generation: 7,
					IssuedAt: start, LastSuccess: start, ExpiresAt: start.Add(time.Hour), DueAt: start.Add(47 * time.Minute),
					NextAttempt: start.Add(48 * time.Minute), Failures: 2, Waiters: 4,
					Class: refresher.Transient, LastError: `login answered 502: "<html>" & more`,
				}),
				many,
				// Lives until refused; an error of long ago is over.
				pool("spare", "token", refresher.InstanceStatus{Phase: refresher.Fresh, Generation: 1, IssuedAt: start, LastSuccess: start}),
			},
			routes: []Route{
				{
					Name: "/aicc", Path: "/aicc/", Upstream: mustURL(t, "https://service.besclouds.com/apiaccess/a%2Fb/"),
					Credentials: []string{"aicc"}, Methods: []string{"GET", "POST"},
					Totals: func() Totals {
						return Totals{
							Requests: 10, Errors: 2, Replays: 3, Unavailable: 1, Seconds: 1.5,
							Bounds: []float64{.005, 1, 2.5}, Within: []uint64{4, 9, 10},
						}
					},
				},
				{Name: "corp.localhost", Host: "corp.localhost", Optional: true, Upstream: mustURL(t, "https://user:CANARY@api.example.com?key=CANARY#CANARY")},
			},
		}
		a := f.admin(t)
		a.cfg.Loaded = func() Configuration {
			return Configuration{File: "attache.yaml", Loaded: start, Reload: &Reload{At: start.Add(time.Second), Err: errors.New("attache.yaml:1:1: no")}}
		}
		access := refresher.Event{Kind: refresher.LoggedIn, Credential: "aicc", Token: "access", Err: errors.New("CANARY")}
		f.journal.Observe(access)
		user := refresher.Event{Kind: refresher.Refused, Credential: "aicc", Token: "messaging", Keyed: true, Rejection: refresher.OverBudget}
		f.journal.Observe(user)
		time.Sleep(1500 * time.Millisecond)
		access.Kind = refresher.LoginFailed
		f.journal.Observe(access)
		w := do(a.Handler(nil), "GET", "/api/status")
		if w.Code != 200 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("status %d, %s", w.Code, w.Body)
		}
		got = strings.ReplaceAll(w.Body.String(), runtime.Version(), "GOVERSION")
	})
	if strings.Contains(got, "CANARY") {
		t.Error("a secret part of an upstream's URL, or one instance of a keyed token, is shown")
	}
	keepGolden(t, "testdata/status.golden", got)
}

// keepGolden compares a text with the file that has it, or with -update writes it.
func keepGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (- file, + now); if the change is meant, run go test ./internal/admin -update\n%s", path, diff)
	}
}

func TestStatusOfHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{beat: time.Now(), pools: []refresher.PoolStatus{pool("c", "t", refresher.InstanceStatus{})}}
		a := f.admin(t)
		check := func(want healthDoc) {
			t.Helper()
			var doc struct{ Health healthDoc }
			if err := json.Unmarshal(do(a.Handler(nil), "GET", "/api/status").Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			if doc.Health != want {
				t.Errorf("health %+v, want %+v", doc.Health, want)
			}
		}
		check(healthDoc{Live: true})
		f.pools = []refresher.PoolStatus{pool("c", "t", refresher.InstanceStatus{Generation: 1})}
		check(healthDoc{Startup: true, Ready: true, Live: true})
		a.Drain()
		check(healthDoc{Startup: true, Live: true, Draining: true})
		time.Sleep(time.Minute)
		check(healthDoc{Startup: true, Draining: true})
	})
}

// Nothing to show is an empty list, not null.
func TestStatusOfNothing(t *testing.T) {
	got := do((&fake{}).admin(t).Handler(nil), "GET", "/api/status").Body.String()
	for _, want := range []string{`"tokens": []`, `"routes": []`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

// A program that asks for JSON gets the same without indents.
func TestStatusIsCompactForPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{pools: []refresher.PoolStatus{keyed("c", "t")}, routes: []Route{{Name: "/c", Upstream: mustURL(t, "https://api.example.com")}}}
		h := f.admin(t).Handler(nil)
		people, program := ask(h, "GET", "/api/status", "Accept", "*/*"), ask(h, "GET", "/api/status", "Accept", "Application/JSON")
		var compact bytes.Buffer
		if err := json.Compact(&compact, people.Body.Bytes()); err != nil {
			t.Fatal(err)
		}
		if got := program.Body.String(); got != compact.String()+"\n" || compact.Len() >= people.Body.Len() {
			t.Errorf("people get\n%s\na program gets\n%s", people.Body, got)
		}
		for _, w := range []*httptest.ResponseRecorder{people, program} {
			if got := w.Header().Get("Vary"); got != "Accept" {
				t.Errorf("Vary is %q", got)
			}
		}
	})
}
