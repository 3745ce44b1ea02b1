package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestVerbs(t *testing.T) {
	var reloads, quits int
	var broken error
	f := &fake{}
	a := f.admin(t)
	a.cfg.Reload = func(context.Context) error { reloads++; return broken }
	h := a.Handler(func() { quits++ })
	post := func(target string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8485"+target, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	want := func(w *httptest.ResponseRecorder, code int, part string) {
		t.Helper()
		if w.Code != code || !strings.Contains(w.Body.String(), part) {
			t.Errorf("answer %d %q, want %d with %q", w.Code, w.Body, code, part)
		}
	}
	want(post("/-/reload"), 200, "reloaded")
	want(post("/-/reload", "Origin", "http://127.0.0.1:8485", "Sec-Fetch-Site", "same-origin"), 200, "reloaded")
	want(post("/-/quit"), 202, "draining")
	if reloads != 2 || quits != 1 {
		t.Errorf("%d reloads and %d quits, want 2 and 1", reloads, quits)
	}
	broken = errors.New("attache.yaml:3:1: routes: what is this?\nattache.yaml:4:1: routes: and this?")
	want(post("/-/reload"), 422, "attache.yaml:4:1: routes: and this?\nThe configuration before stays in service.\n")

	// Pages of this machine may look, whatever their port, but not act.
	reloads, quits = 0, 0
	want(post("/-/reload", "Origin", "http://localhost:3000"), 403, "another origin")
	want(post("/-/quit", "Sec-Fetch-Site", "cross-site"), 403, "another origin")
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		w := do(h, method, "/-/quit")
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s /-/quit: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	want(post("/livez"), 405, "GET and HEAD")
	if reloads != 0 || quits != 0 {
		t.Errorf("%d reloads and %d quits, want none", reloads, quits)
	}

	// Who reaches the probes listener is not asked who they are.
	for _, path := range []string{"/-/reload", "/-/quit"} {
		if w := do(a.Probes(), "POST", path); w.Code != 404 {
			t.Errorf("the probes listener answers %s with %d", path, w.Code)
		}
	}
	// What is not configured is not there.
	for _, path := range []string{"/-/reload", "/-/quit"} {
		if w := do(f.admin(t).Handler(nil), "POST", path); w.Code != 404 {
			t.Errorf("%s is answered with %d though nothing is behind it", path, w.Code)
		}
	}
	want(do(h, "GET", "/"), 200, "/-/quit (POST)")
}

func TestStatusOfConfiguration(t *testing.T) {
	a := (&fake{}).admin(t)
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	c := Configuration{File: "attache.yaml", Loaded: at}
	a.cfg.Loaded = func() Configuration { return c }
	want := func(part string) {
		t.Helper()
		got := strings.Join(strings.Fields(do(a.Handler(nil), "GET", "/api/status").Body.String()), " ")
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	want(`"config": { "file": "attache.yaml", "loaded": "2026-11-26T08:00:00Z" }`)
	c.Reload = &Reload{At: at.Add(time.Hour)}
	want(`"last_reload": { "at": "2026-11-26T09:00:00Z", "ok": true }`)
	c.Reload.Err = errors.New("attache.yaml:1:1: no")
	want(`"ok": false, "error": "attache.yaml:1:1: no"`)
}
