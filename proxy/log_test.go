package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

func TestRequestLog(t *testing.T) {
	rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/500":
			return respond(500, ""), nil
		case "/none":
			return nil, errors.New("canary in an error")
		}
		return respond(200, ""), nil
	})
	for level, want := range map[RequestLog]string{
		LogNone: "",
		LogErrors: "WARN GET api 500 0\nWARN GET api 502 0 connection_terminated\nWARN GET api 400 0 http_request_error\n" +
			"INFO GET  404 0 destination_not_found\n",
		LogAll: "INFO GET api 200 0\nINFO GET api 404 0\nWARN GET api 500 0\nWARN GET api 502 0 connection_terminated\nWARN GET api 400 0 http_request_error\n" +
			"INFO GET  404 0 destination_not_found\n",
	} {
		var out bytes.Buffer
		p, err := New(Config{
			Routes: []Route{{Name: "api", Host: "api", Upstream: mustURL(t, "http://up"), Transport: fakeTransport(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/404" {
					return respond(404, ""), nil
				}
				return rt(r)
			})}},
			Logger: slog.New(&lineHandler{&out}), Requests: level,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"/?token=canary", "/404", "/500", "/none", "/../canary"} {
			r := httptest.NewRequest("GET", target, nil)
			r.Host = "api"
			if strings.Contains(target, "..") { // refused before its route is known
				r.Header.Set("Upgrade", "h2c")
				r.RequestURI = "/canary"
			}
			p.ServeHTTP(httptest.NewRecorder(), r)
		}
		get(p, "/canary")
		if out.String() != want {
			t.Errorf("level %d:\n%swant:\n%s", level, out.String(), want)
		}
	}
}

// lineHandler writes what a test compares, and fails on a canary.
type lineHandler struct{ out *bytes.Buffer }

func (h *lineHandler) write(r slog.Record) string {
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	line := fmt.Sprintf("%s %s %s %s %s", r.Level, attrs["method"], attrs["route"], attrs["status"], attrs["replays"])
	if attrs["error"] != "" {
		line += " " + attrs["error"]
	}
	for key, value := range attrs {
		if strings.Contains(value, "canary") {
			line += " LEAK in " + key
		}
	}
	return line + "\n"
}

// TestNothingSecretLeaves: no answer and no log of ours holds the token, the
// query or an error's text, whatever goes wrong.
func TestNothingSecretLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var current atomic.Value
		current.Store("ok")
		src := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			if current.Load() == "login" {
				return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("canary-vendor")}
			}
			return lasting("canary-token"), nil
		}}
		slot := addToken(t, startEngine(t), "access", src)
		plan := bearerPlan()
		plan.query = true
		fields := plan.fields
		plan.fields = func(dst []exchange.Field, p refresher.Params, tokens []refresher.Token) []exchange.Field {
			return append(fields(dst, p, tokens), exchange.Field{In: exchange.Query, Name: "access_token", Value: tokens[0].Value.Reveal()})
		}
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			switch current.Load() {
			case "broken":
				return nil, fmt.Errorf("malformed HTTP response %q", r.URL.String()+r.Header.Get("Authorization"))
			case "redirect":
				return respond(302, "", "Location", "https://elsewhere.example/?"+r.URL.RawQuery, "Content-Location", r.URL.RequestURI()), nil
			case "login":
				return respond(401, "refused"), nil
			}
			return respond(200, ""), nil
		})
		p, err := New(Config{
			Routes: []Route{{Name: "api", Upstream: mustURL(t, "https://up"), Plan: plan, Slots: []Slot{slot}, Transport: rt, Wait: time.Second}},
			Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), Requests: LogAll,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, mode := range []string{"ok", "broken", "redirect", "login"} {
			current.Store(mode)
			for _, target := range []string{"/?q=canary-query", "/?canary;x", "/canary/../x"} {
				w := get(p, target, "Authorization", "canary-client")
				var answer strings.Builder
				w.Header().Write(&answer)
				answer.WriteString(w.Body.String())
				// The client's own query may come back to it in a Location.
				text := strings.ReplaceAll(answer.String(), "canary-query", "")
				if strings.Contains(text, "canary") {
					t.Errorf("%s, %s: the answer is %s", mode, target, text)
				}
			}
		}
		if strings.Contains(out.String(), "canary") || !strings.Contains(out.String(), "status=503") {
			t.Errorf("the log is %s", out.String())
		}
	})
}

func (h *lineHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *lineHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *lineHandler) WithGroup(string) slog.Handler            { return h }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	h.out.WriteString(h.write(r))
	return nil
}
