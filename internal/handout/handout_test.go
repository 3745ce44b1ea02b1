package handout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// vendor is a scripted token server: value and lifetime of the nth login, from 1.
type vendor struct {
	logins atomic.Int64
	fetch  func(n int) (refresher.Token, error)
}

func (v *vendor) calls() int { return int(v.logins.Load()) }

func (v *vendor) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	n := int(v.logins.Add(1))
	if n > 100 {
		return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("flooded")}
	}
	time.Sleep(50 * time.Millisecond)
	if v.fetch != nil {
		return v.fetch(n)
	}
	return lasting(fmt.Sprint("canary", n)), nil
}

func lasting(value string) refresher.Token {
	return refresher.Token{Value: secret.New(value), ExpiresAt: time.Now().Add(time.Hour)}
}

// desk is a handler with a running engine.
type desk struct {
	t    *testing.T
	h    *Handler
	logs bytes.Buffer
}

// atDesk runs test in a bubble, with a credential corp of one token, a credential
// two of two, and a credential user that the header X-User keys.
func atDesk(t *testing.T, v *vendor, test func(t *testing.T, d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		e := refresher.New(refresher.Config{Rand: func() float64 { return 0.5 }})
		var tokens []Token
		add := func(credential, token string, params ...refresher.Param) {
			d := refresher.Definition{
				Credential: credential, Token: token, Recipe: "test", Source: v, Params: params,
				Key: []refresher.KeyPart{{Name: "token", Value: secret.New(credential + token)}},
			}
			one := Token{Credential: credential, Name: token}
			if len(params) > 0 {
				d.Key = append(d.Key, refresher.KeyPart{Name: "user", FromRequest: true})
				d.Limits = refresher.Limits{Max: 10, Idle: time.Hour, LoginsPerMinute: 1}
				one.Params = func(client exchange.Head) (refresher.Params, error) {
					if user := client.Header.Get("X-User"); user != "" {
						return refresher.Params{user}, nil
					}
					return nil, &exchange.ParamError{Name: exchange.Name{Name: "X-User"}, Text: "is missing"}
				}
			}
			pool, err := e.Add(d)
			if err != nil {
				t.Fatal(err)
			}
			one.Pool = pool
			tokens = append(tokens, one)
		}
		add("corp", "access")
		add("two", "a")
		add("two", "b")
		add("user", "access", refresher.Param{Name: "user", Identity: true})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { e.Run(ctx) })
		d := &desk{t: t}
		d.h = New(Config{Tokens: tokens, Log: slog.New(slog.NewTextHandler(&d.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		time.Sleep(time.Second)
		test(t, d)
		cancel()
		running.Wait()
	})
}

func (d *desk) ask(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	return w
}

// handed asks for a token that has to come.
func (d *desk) handed(target string, header ...string) (a handed) {
	d.t.Helper()
	w := d.ask("GET", target, header...)
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		d.t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return a
}

func TestHandsOut(t *testing.T) {
	atDesk(t, &vendor{}, func(t *testing.T, d *desk) {
		w := d.ask("GET", "/token/corp")
		value := d.handed("/token/corp").Value
		want := fmt.Sprintf(`{"credential":"corp","token":"access","value":%q,"expires_in":3599,"generation":1}`+"\n", value)
		if w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%v %s, want %s", w.Header(), w.Body, want)
		}
		if a := d.handed("/token/two.b"); a.Credential != "two" || a.Token != "b" {
			t.Errorf("%+v", a)
		}
		logs := d.logs.String()
		if n := strings.Count(logs, `level=INFO msg="token handed out"`); n != 3 {
			t.Errorf("%d lines about three hand-outs:\n%s", n, logs)
		}
		if !strings.Contains(logs, "credential=two token=b generation=1 remote=192.0.2.1:1234") || strings.Contains(logs, "canary") {
			t.Errorf("the log: %s", logs)
		}
	})
}

func TestHeadTellsNothing(t *testing.T) {
	atDesk(t, &vendor{}, func(t *testing.T, d *desk) {
		w := d.ask("HEAD", "/token/corp")
		if w.Code != 200 || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		if strings.Contains(d.logs.String(), "handed out") {
			t.Error("nothing was handed out")
		}
		if w := d.ask("HEAD", "/token/none"); w.Code != 404 || w.Body.Len() > 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestMistakes(t *testing.T) {
	atDesk(t, &vendor{}, func(t *testing.T, d *desk) {
		for _, tc := range []struct {
			method, target string
			status         int
			text           string
		}{
			{"GET", "/", 404, "/token/CREDENTIAL"},
			{"GET", "/token/", 404, "no credential"},
			{"GET", "/token/unknown-canary", 404, "no credential"},
			{"GET", "/token/corp/", 404, "no credential"},
			{"GET", "/token/corp.canary", 404, "corp.access"},
			{"GET", "/token/two", 400, "two.a, two.b"},
			{"GET", "/token/user", 400, `"parameter":"X-User"`},
			{"GET", "/token/corp?not=canary", 400, `"parameter":"not"`},
			{"GET", "/token/corp?not=-1", 400, `"parameter":"not"`},
			{"GET", "/token/corp?not=", 400, `"parameter":"not"`},
			{"GET", "/token/corp?not=1&not=2", 400, `"parameter":"not"`},
			{"POST", "/token/corp", 405, "GET"},
			{"OPTIONS", "/token/corp", 405, "GET"},
		} {
			w := d.ask(tc.method, tc.target)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.text) || strings.Contains(w.Body.String(), "canary") ||
				w.Header().Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(w.Header().Get("Proxy-Status"), "attache; error=") {
				t.Errorf("%s %s: %d %v %s, want %d with %s", tc.method, tc.target, w.Code, w.Header(), w.Body, tc.status, tc.text)
			}
			if tc.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow is %q", w.Header().Get("Allow"))
			}
		}
		if strings.Contains(d.logs.String(), "handed out") {
			t.Error("nothing was handed out")
		}
	})
}

func TestRefusedGenerationIsRenewedOnce(t *testing.T) {
	v := &vendor{}
	atDesk(t, v, func(t *testing.T, d *desk) {
		before, first := v.calls(), d.handed("/token/corp")
		second := d.handed(fmt.Sprint("/token/corp?not=", first.Generation))
		if second.Generation != first.Generation+1 || second.Value == first.Value || v.calls() != before+1 {
			t.Errorf("%+v after %+v, with %d logins", second, first, v.calls()-before)
		}
		// Who comes late, or has what another process handed out, gets what there is.
		for _, not := range []string{"1", "0", "900"} {
			if a := d.handed("/token/corp?not=" + not); a != (handed{"corp", "access", second.Value, a.ExpiresIn, second.Generation}) {
				t.Errorf("not=%s: %+v", not, a)
			}
		}
		if v.calls() != before+1 {
			t.Errorf("%d logins", v.calls()-before)
		}
	})
}

func TestManyWhoRefuseOneGenerationShareALogin(t *testing.T) {
	v := &vendor{}
	atDesk(t, v, func(t *testing.T, d *desk) {
		before := v.calls()
		var all sync.WaitGroup
		codes := make([]int, 20)
		for i := range codes {
			all.Go(func() { codes[i] = d.ask("GET", "/token/corp?not=1").Code })
		}
		all.Wait()
		for _, code := range codes {
			if code != 200 {
				t.Errorf("answered %d", code)
			}
		}
		if v.calls() != before+1 {
			t.Errorf("%d logins, want 1", v.calls()-before)
		}
	})
}

func TestRefusalsHaveABudget(t *testing.T) {
	v := &vendor{}
	atDesk(t, v, func(t *testing.T, d *desk) {
		before, renewed := v.calls(), 0
		generation := d.handed("/token/corp").Generation
		for range 20 {
			w := d.ask("GET", fmt.Sprint("/token/corp?not=", generation))
			if w.Code == 429 {
				if w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), `"class":"refusals"`) {
					t.Errorf("%v %s", w.Header(), w.Body)
				}
				continue
			}
			renewed++
			generation = d.handed("/token/corp").Generation
			time.Sleep(2 * time.Second) // less than the budget's, more than between logins
		}
		if renewed != 5 || v.calls() != before+5 {
			t.Errorf("%d renewals and %d logins, want 5", renewed, v.calls()-before)
		}
		d.handed("/token/corp") // it stays in service
		time.Sleep(spentFor)
		if a := d.handed(fmt.Sprint("/token/corp?not=", generation)); a.Generation != generation+1 {
			t.Errorf("after %v: %+v", spentFor, a)
		}
	})
}

func TestNoToken(t *testing.T) {
	v := &vendor{fetch: func(int) (refresher.Token, error) {
		return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("canary")}
	}}
	atDesk(t, v, func(t *testing.T, d *desk) {
		w := d.ask("GET", "/token/corp")
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"class":"permanent"`) ||
			!strings.Contains(w.Body.String(), `"credential":"corp"`) || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	v := &vendor{fetch: func(n int) (refresher.Token, error) {
		if n > 3 { // the logins of the beginning
			time.Sleep(9 * time.Second)
		}
		return lasting(fmt.Sprint("canary", n)), nil
	}}
	atDesk(t, v, func(t *testing.T, d *desk) {
		start := time.Now()
		if w := d.ask("GET", "/token/corp?not=1"); w.Code != 503 || time.Since(start) != wait {
			t.Errorf("%d after %v", w.Code, time.Since(start))
		}
		time.Sleep(10 * time.Second) // the login goes on all the same
		if a := d.handed("/token/corp"); a.Generation != 2 {
			t.Errorf("%+v", a)
		}
	})
}

func TestTokenOfAUser(t *testing.T) {
	atDesk(t, &vendor{}, func(t *testing.T, d *desk) {
		one := d.handed("/token/user", "X-User", "u1")
		if again := d.handed("/token/user", "X-User", "u1"); again.Value != one.Value {
			t.Errorf("%+v, then %+v", one, again)
		}
		w := d.ask("GET", "/token/user", "X-User", "u2") // one login in a minute
		if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "logins_per_minute") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}

func TestTokenThatLivesUntilRefused(t *testing.T) {
	v := &vendor{fetch: func(n int) (refresher.Token, error) { return refresher.Token{Value: secret.New("v")}, nil }}
	atDesk(t, v, func(t *testing.T, d *desk) {
		if w := d.ask("GET", "/token/corp"); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "expires_in") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestGenerationOfAnEarlierProcess: the first token of this one may have the
// number that a caller remembers, and is another all the same.
func TestGenerationOfAnEarlierProcess(t *testing.T) {
	v := &vendor{fetch: func(n int) (refresher.Token, error) {
		time.Sleep(3 * time.Second)
		return lasting(fmt.Sprint("canary", n)), nil
	}}
	atDesk(t, v, func(t *testing.T, d *desk) {
		if a := d.handed("/token/corp?not=1"); a.Generation != 1 {
			t.Errorf("%+v", a)
		}
	})
}
