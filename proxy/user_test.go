package proxy

import (
	"errors"
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

// userPlan takes the user from a header: the second of the route's two values.
func userPlan() *testPlan {
	return &testPlan{
		strip: []exchange.Name{header("Token"), header("X-User")},
		params: func(client exchange.Head) (refresher.Params, error) {
			return refresher.Params{"zh", client.Header.Get("X-User")}, nil
		},
		fields: func(dst []exchange.Field, params refresher.Params, tokens []refresher.Token) []exchange.Field {
			if tokens[0].Value.IsEmpty() {
				return dst
			}
			return append(dst, exchange.Field{Name: "Token", Value: params[1] + ":" + tokens[0].Value.Reveal()})
		},
	}
}

// userSlot is a slot with a token for each user.
func userSlot(t *testing.T, src *source, limits refresher.Limits) Slot {
	slot := addToken(t, startEngine(t), "user", src, func(d *refresher.Definition) {
		d.Params = []refresher.Param{{Name: "user", Identity: true}}
		d.Key = []refresher.KeyPart{{Name: "user", FromRequest: true}}
		d.Limits = limits
	})
	slot.Params = []int{1}
	return slot
}

func perUser(_ int, in refresher.Input) (refresher.Token, error) {
	return refresher.Token{Value: secret.New("of-" + in.Params[0])}, nil
}

func TestTokenPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: perUser}
		// There is room for one user, so the next one only fits if requests let
		// go of what they pinned.
		slot := userSlot(t, src, refresher.Limits{Max: 1})
		var up echo
		p := newProxy(t, userPlan(), &up, []Slot{slot})
		for _, user := range []string{"ann", "bob", "ann"} {
			if w := get(p, "/", "X-User", user, "Token", "evil"); w.Code != 200 {
				t.Fatalf("%s: status %d: %s", user, w.Code, w.Body)
			}
			if got := up.req.Header.Get("Token"); got != user+":of-"+user || up.req.Header.Get("X-User") != "" {
				t.Errorf("%s: sent %v", user, up.req.Header)
			}
			time.Sleep(time.Second)
		}
		if src.logins() != 3 {
			t.Errorf("%d logins", src.logins())
		}
	})
}

func TestPinsAreReleasedInAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := userSlot(t, &source{t: t, fetch: perUser}, refresher.Limits{Max: 1})
		plan := userPlan()
		plan.judge = func(_, _ exchange.Head, _ []byte) exchange.Verdict { panic("a plan's mistake") }
		m := &counters{}
		p := newProxyWithMetrics(t, plan, &echo{}, []Slot{slot}, m)
		func() {
			defer func() { recover() }()
			get(p, "/", "X-User", "ann")
		}()
		plan.judge = nil
		if w := get(p, "/", "X-User", "bob"); w.Code != 200 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if m.started != 2 || m.codes[500] != 1 || m.codes[200] != 1 {
			t.Errorf("counters %+v", m)
		}
	})
}

func TestTooManyUsers(t *testing.T) {
	for _, optional := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			slot := userSlot(t, &source{t: t, fetch: perUser}, refresher.Limits{LoginsPerMinute: 1})
			var up echo
			p := newProxy(t, userPlan(), &up, []Slot{slot}, func(r *Route) { r.Optional = optional })
			if w := get(p, "/", "X-User", "ann"); w.Code != 200 {
				t.Fatalf("status %d", w.Code)
			}
			w := get(p, "/", "X-User", "bob")
			if optional {
				if w.Code != 200 || up.req.Header.Get("Token") != "" {
					t.Errorf("optional: status %d, sent %v", w.Code, up.req.Header)
				}
				return
			}
			if w.Code != 429 || w.Header().Get("Retry-After") != "60" || w.Header().Get("Proxy-Status") != "attache; error=http_request_error" ||
				!strings.Contains(w.Body.String(), `"credential":"cred","class":"logins_per_minute"`) {
				t.Errorf("status %d, %v, %s", w.Code, w.Header(), w.Body)
			}
			if w := get(p, "/", "X-User", "ann"); w.Code != 200 {
				t.Errorf("another user got %d", w.Code)
			}
		})
	}
}

// TestNoRoomForAnotherUser: while all the room is taken by tokens in use, another
// user gets 429 with the reason. Users that are there, and those of another
// credential, go on, and so does the other user once there is room.
func TestNoRoomForAnotherUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t)
		slotOf := func(credential string) Slot {
			slot := addToken(t, e, "user", &source{t: t, fetch: perUser}, func(d *refresher.Definition) {
				d.Credential = credential
				d.Params = []refresher.Param{{Name: "user", Identity: true}}
				d.Key = []refresher.KeyPart{{Name: "user", FromRequest: true}, {Name: "of", Value: secret.New(credential)}}
				d.Limits = refresher.Limits{Max: 1}
			})
			slot.Credential, slot.Params = credential, []int{1}
			return slot
		}
		held := make(chan struct{})
		up := fakeTransport(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/base/hold" {
				<-held
			}
			return respond(200, ""), nil
		})
		few, other := newProxy(t, userPlan(), up, []Slot{slotOf("few")}), newProxy(t, userPlan(), up, []Slot{slotOf("other")})
		ended := make(chan int)
		go func() { ended <- get(few, "/hold", "X-User", "ann").Code }()
		synctest.Wait()
		w := get(few, "/", "X-User", "bob")
		if w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"credential":"few","class":"instances"`) {
			t.Errorf("one too many: status %d, %v, %s", w.Code, w.Header(), w.Body)
		}
		if w := get(few, "/", "X-User", "ann"); w.Code != 200 {
			t.Errorf("the user who is there got %d", w.Code)
		}
		if w := get(other, "/", "X-User", "bob"); w.Code != 200 {
			t.Errorf("the same user of another credential got %d", w.Code)
		}
		close(held)
		if code := <-ended; code != 200 {
			t.Errorf("the request under way ended with %d", code)
		}
		time.Sleep(time.Second)
		if w := get(few, "/", "X-User", "bob"); w.Code != 200 {
			t.Errorf("once there is room the other user got %d: %s", w.Code, w.Body)
		}
	})
}

func TestChoose(t *testing.T) {
	params := refresher.Params{"a", "b", "c"}
	if got := choose(params, nil); got != nil {
		t.Errorf("%q", got)
	}
	if got := choose(params, []int{2, 0}); len(got) != 2 || got[0] != "c" || got[1] != "a" {
		t.Errorf("%q", got)
	}
	if got := choose(params, []int{0, 1, 2}); &got[0] != &params[0] {
		t.Error("the whole vector was copied")
	}
}

// TestRefusalOfAnAbsentToken: an optional route's request that went without the
// token is refused for want of it.
func TestRefusalOfAnAbsentToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("no")}
		}}
		slot := addToken(t, startEngine(t), "access", src)
		p := newProxy(t, bearerPlan(), &upstream{}, []Slot{slot}, func(r *Route) { r.Optional = true })
		time.Sleep(time.Second)
		if w := get(p, "/"); w.Code != 401 {
			t.Errorf("status %d", w.Code)
		}
	})
}

// failingPlan cannot build its fields.
type failingPlan struct{ *testPlan }

func (failingPlan) AppendFields(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) ([]exchange.Field, error) {
	return dst, errors.New("the value canary has a line break")
}

func TestFieldsThatCannotBeBuilt(t *testing.T) {
	w := get(newProxy(t, failingPlan{&testPlan{}}, &echo{}, nil), "/")
	if w.Code != 500 || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// TestGuardedAnswerHasOneCORSHeader: what the guard says wins over the
// upstream.
func TestGuardedAnswerHasOneCORSHeader(t *testing.T) {
	rt := fakeTransport(func(*http.Request) (*http.Response, error) {
		return respond(200, "", "Access-Control-Allow-Origin", "*", "Access-Control-Max-Age", "1", "Vary", "Accept"), nil
	})
	g := Guard{Loopback: true, Origins: []string{"https://app.example.com"}}
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "localhost"
	r.Header.Set("Origin", "https://app.example.com")
	w := httptest.NewRecorder()
	g.Wrap(newProxy(t, &testPlan{}, rt, nil)).ServeHTTP(w, r)
	h := w.Header()
	if got := h["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://app.example.com" {
		t.Errorf("Access-Control-Allow-Origin %q", got)
	}
	if len(h["Vary"]) != 2 || h.Get("Access-Control-Max-Age") != "1" {
		t.Errorf("header %v", h)
	}
}
