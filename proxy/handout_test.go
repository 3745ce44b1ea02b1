package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// numbered gives token1, token2, … with a lifetime.
func numbered(n int, _ refresher.Input) (refresher.Token, error) {
	return refresher.Token{Value: secret.New(fmt.Sprintf("token%d", n)), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// handout is a Handout over slots, and what it logs.
func handout(slots ...Slot) (*Handout, *bytes.Buffer) {
	var tokens []HandoutToken
	for _, s := range slots {
		tokens = append(tokens, HandoutToken{Credential: s.Credential, Token: s.Token, Pool: s.Pool})
	}
	var log bytes.Buffer
	return NewHandout(tokens, time.Second, slog.New(slog.NewTextHandler(&log, nil))), &log
}

// called is the slot as a token of its own credential.
func called(credential string, s Slot) Slot {
	s.Credential, s.Token = credential, "access"
	return s
}

func getToken(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func handedOut(t *testing.T, w *httptest.ResponseRecorder) HandedOut {
	t.Helper()
	var out HandedOut
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return out
}

func TestHandoutGivesToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := handout(called("corp", addToken(t, startEngine(t), "corp", &source{t: t, fetch: numbered})))
		w := getToken(h, "/token/corp")
		time.Sleep(90*time.Second + time.Millisecond)
		later := handedOut(t, getToken(h, "/token/corp."+handedOut(t, w).Token))
		left := func(o HandedOut) string {
			if o.ExpiresIn == nil {
				return "none"
			}
			return fmt.Sprint(*o.ExpiresIn)
		}
		if out := handedOut(t, w); out.Credential != "corp" || out.Value != "token1" || out.Generation != 1 || left(out) != "3600" {
			t.Errorf("handed out %+v with %s s left", out, left(out))
		}
		if later.Value != "token1" || left(later) != "3509" {
			t.Errorf("later %+v with %s s left, want 3509", later, left(later))
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("the answer may be cached")
		}
		if lines := log.String(); strings.Count(lines, "token handed out") != 2 || !strings.Contains(lines, "credential=corp") {
			t.Errorf("the log has not both:\n%s", lines)
		} else if strings.Contains(lines, "token1") {
			t.Errorf("the log has the value:\n%s", lines)
		}
	})
}

func TestHandoutRenewsOnlyTheCurrentGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: numbered}
		h, _ := handout(called("corp", addToken(t, startEngine(t), "corp", src)))
		for _, want := range []struct {
			query string
			value string
		}{
			{"", "token1"},
			{"?not=1", "token2"}, // renewed
			{"?not=1", "token2"}, // replaced meanwhile: nothing to do
			{"?not=7", "token2"}, // one that there never was
			{"?not=2", "token3"},
		} {
			if out := handedOut(t, getToken(h, "/token/corp"+want.query)); out.Value != want.value {
				t.Errorf("%q gives %s, want %s", want.query, out.Value, want.value)
			}
			time.Sleep(2 * time.Second) // the least time between logins is over
		}
	})
}

// A caller that takes every token for bad must not flood the vendor.
func TestHandoutRenewalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: numbered}
		h, _ := handout(called("corp", addToken(t, startEngine(t), "corp", src)))
		renewed, last := 0, handedOut(t, getToken(h, "/token/corp"))
		var w *httptest.ResponseRecorder
		for range 20 {
			time.Sleep(2 * time.Second) // the least time between logins is over
			if w = getToken(h, fmt.Sprintf("/token/corp?not=%d", last.Generation)); w.Code != http.StatusOK {
				break
			}
			renewed, last = renewed+1, handedOut(t, w)
		}
		if renewed != 5 {
			t.Errorf("%d renewals in ten seconds, want 5", renewed)
		}
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), `"class":"over_budget"`) {
			t.Errorf("then %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		if out := handedOut(t, getToken(h, "/token/corp")); out.Generation != last.Generation {
			t.Errorf("generation %d is handed out, want %d as before", out.Generation, last.Generation)
		}
	})
}

// The renewals of a route do not count here, whatever name a configuration may
// give it.
func TestHandoutHasABudgetOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := called("corp", addToken(t, startEngine(t), "corp", &source{t: t, fetch: numbered}))
		h, _ := handout(slot)
		instance, err := slot.Pool.Instance(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer instance.Release()
		var last refresher.Token
		for rejection := refresher.Renewing; rejection != refresher.OverBudget; {
			time.Sleep(2 * time.Second) // the least time between logins is over
			if last, err = instance.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			rejection = instance.Reject(last, refresher.Cause{By: "handout"})
		}
		if out := handedOut(t, getToken(h, fmt.Sprintf("/token/corp?not=%d", last.Generation))); out.Generation != last.Generation+1 {
			t.Errorf("generation %d, want the one after %d", out.Generation, last.Generation)
		}
	})
}

func TestHandoutPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := userSlot(t, &source{t: t, fetch: perUser}, refresher.Limits{Max: 1})
		h, log := handout()
		h.tokens["user"] = []HandoutToken{{Credential: "user", Token: slot.Token, Pool: slot.Pool,
			Params: func(client exchange.Head) (refresher.Params, error) {
				user := client.Header.Get("X-User")
				if user == "" {
					return nil, &exchange.ParamError{Name: header("X-User"), Text: "is missing"}
				}
				return refresher.Params{user}, nil
			}}}
		for _, user := range []string{"ann", "bob"} { // there is room for one, so it is let go of
			if out := handedOut(t, getToken(h, "/token/user", "X-User", user)); out.Value != "of-"+user || out.ExpiresIn != nil {
				t.Errorf("%s gets %+v", user, out)
			}
			synctest.Wait() // the login lets go of the user after the answer
		}
		if w := getToken(h, "/token/user"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"parameter":"X-User"`) {
			t.Errorf("without the user: %d: %s", w.Code, w.Body)
		}
		if strings.Contains(log.String(), "ann") {
			t.Errorf("the log names users:\n%s", log)
		}
	})
}

func TestHandoutAnswersWithoutToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t)
		down := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("wrong password")}
		}}
		one := called("pair", addToken(t, e, "pair", &source{t: t, fetch: numbered}))
		two := one
		two.Token = "second"
		h, log := handout(called("down", addToken(t, e, "down", down)), one, two)
		for _, c := range []struct {
			method, target string
			status         int
			says           string
		}{
			{"GET", "/token/down", 503, `"class":"permanent"`},
			{"GET", "/token/nobody", 404, "no credential of this name"},
			{"GET", "/token/", 404, "no credential of this name"},
			{"GET", "/", 404, "/token/CREDENTIAL"},
			{"GET", "/token/pair", 400, "pair." + one.Token + ", pair.second"},
			{"GET", "/token/pair.third", 404, "pair.second"},
			{"GET", "/token/pair.second?not=x", 400, `"parameter":"not"`},
			{"GET", "/token/pair.second?not=0", 400, `"parameter":"not"`},
			{"GET", "/token/pair.second?not=1&not=2", 400, `"parameter":"not"`},
			{"GET", "/token/pair.second?not=%zz", 400, "cannot be parsed"},
			{"POST", "/token/pair.second", 405, "GET"},
			{"HEAD", "/token/pair.second", 405, "GET"},
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Proxy-Status") == "" {
				t.Errorf("%s %s: %d: %s, want %d with %q", c.method, c.target, w.Code, w.Body, c.status, c.says)
			}
		}
		if log.Len() > 0 {
			t.Errorf("something was handed out:\n%s", log)
		}
	})
}

// A caller that does not want a token never gets it again with status 200, though
// the vendor gives no other.
func TestHandoutOfTheSameValueAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			return refresher.Token{Value: secret.New("always-this")}, nil
		}}
		h, log := handout(called("corp", addToken(t, startEngine(t), "corp", src, func(d *refresher.Definition) {
			d.Policy.SameValueBacksOff = true
		})))
		first := handedOut(t, getToken(h, "/token/corp"))
		time.Sleep(2 * time.Second) // the least time between logins is over
		w := getToken(h, fmt.Sprintf("/token/corp?not=%d", first.Generation))
		if w.Code != http.StatusTooManyRequests || strings.Contains(w.Body.String(), "always-this") {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		if n := strings.Count(log.String(), "token handed out"); n != 1 {
			t.Errorf("%d lines in the log:\n%s", n, log)
		}
	})
}
