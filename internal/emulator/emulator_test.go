package emulator

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is an emulator with a clock of its own and fixed randomness.
type bench struct {
	t *testing.T
	*Emulator
	*clock
}

func start(t *testing.T, vendor string, opts Options) *bench {
	t.Helper()
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	opts.Now = c.Now
	opts.Rand = rand.NewChaCha8([32]byte{1})
	e, err := New(vendor, opts)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, e, c}
}

// set changes the settings; mistakes end the test.
func (b *bench) set(f func(s *Settings)) {
	b.t.Helper()
	if err := b.Change(f); err != nil {
		b.t.Fatal(err)
	}
}

// act performs an action; mistakes end the test.
func (b *bench) act(a Action) int {
	b.t.Helper()
	n, err := b.Do(a)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) get(path string) string { return gjson.Get(a.body, path).String() }

// ask sends a request; headers are "Name: value" lines.
func (b *bench) ask(request, body string, headers ...string) answer {
	b.t.Helper()
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	res := w.Result()
	text, _ := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}
}

// want checks status and members of an answer: "path=value", value "-" for a
// member that must not be there.
func (b *bench) want(what string, a answer, status int, members ...string) {
	b.t.Helper()
	if a.status != status {
		b.t.Errorf("%s: status %d, want %d; body %s", what, a.status, status, a.body)
	}
	for _, m := range members {
		path, value, _ := strings.Cut(m, "=")
		got := gjson.Get(a.body, path)
		if value == "-" && !got.Exists() || value != "-" && got.Exists() && got.String() == value {
			continue
		}
		b.t.Errorf("%s: %s = %q, want %q; body %s", what, path, got.Raw, value, a.body)
	}
}

func TestNames(t *testing.T) {
	if got, want := Names(), []string{UMS, QiniuIM, HuaweiAICC, OpenIM, OAuth2}; !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
	for _, name := range Names() {
		e, err := New(name, Options{})
		if err != nil {
			t.Fatalf("New(%q): %v", name, err)
		}
		if About(name) == "" || e.Vendor() != name || e.Handlers()[0] != name {
			t.Errorf("%s: About %q, Vendor %q, Handlers %q", name, About(name), e.Vendor(), e.Handlers())
		}
		for _, h := range e.Handlers() {
			if e.Handler(h) == nil {
				t.Errorf("%s: Handler(%q) is nil", name, h)
			}
		}
	}
	if About("nobody") != "" {
		t.Error("About of an unknown vendor is not empty")
	}
}

func TestNewErrors(t *testing.T) {
	for _, tc := range []struct {
		vendor string
		ttl    time.Duration
		want   string
	}{
		{"jigang", 0, `vendor "jigang" is none of ums, qiniu-im, huawei-aicc, openim, oauth2`},
		{UMS, 300 * time.Millisecond, "ttl: 300ms is too short; the vendors count in seconds, give 1s or more"},
		{UMS, -time.Second, "ttl: -1s is too short; the vendors count in seconds, give 1s or more"},
	} {
		_, err := New(tc.vendor, Options{TTL: tc.ttl})
		if err == nil || err.Error() != tc.want {
			t.Errorf("New(%q, %s) error %v, want %s", tc.vendor, tc.ttl, err, tc.want)
		}
	}
}

// TestRandRunsDry gives the emulator too little randomness to be deterministic.
func TestRandRunsDry(t *testing.T) {
	e, err := New(UMS, Options{Rand: strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t, e, nil}
	if a, b := b.umsToken("wechatoa"), b.umsToken("wechatmp"); len(a) != 136 || a == b {
		t.Errorf("tokens %q and %q", a, b)
	}
}

// TestHandlerAlone serves a platform at the root of its own handler, with the
// tokens that the ums handler issued.
func TestHandlerAlone(t *testing.T) {
	b := start(t, UMS, Options{})
	token := b.umsToken("wechatoa")
	w := httptest.NewRecorder()
	b.Handler(WeChat).ServeHTTP(w, httptest.NewRequest("GET", "/cgi-bin/user/get?access_token="+token, nil))
	if got := w.Body.String(); got != `{"errcode":0,"errmsg":"ok"}` {
		t.Errorf("answer %s", got)
	}
	if b.Handler("wecht") != nil {
		t.Error("there is a handler with an unknown name")
	}
	// The control paths are only on the whole and on Control.
	w = httptest.NewRecorder()
	b.Handler(UMS).ServeHTTP(w, httptest.NewRequest("GET", "/_emulator/stats", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("control path on a single handler: status %d, want 404", w.Code)
	}
}

// TestConcurrent lets many goroutines use everything at once; the race detector
// is the judge, and the counters have to add up.
func TestConcurrent(t *testing.T) {
	b := start(t, UMS, Options{TTL: time.Second})
	var wg sync.WaitGroup
	const workers, rounds = 8, 100
	for range workers {
		wg.Go(func() {
			for range rounds {
				token := b.umsToken("wechatoa")
				b.ask("GET /wechat/x?access_token="+token, "")
				b.advance(50 * time.Millisecond)
				b.Stats()
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			b.act(Action{Do: Kick, Limit: 1})
			b.set(func(s *Settings) { s.UMS.Mode = RotateWithOverlap })
			b.Reset()
		}
	})
	wg.Wait()
	s := b.Stats()
	if s.Logins["wechatoa"] != workers*rounds || s.Calls[WeChat] != workers*rounds {
		t.Errorf("logins %v, calls %v, want %d each", s.Logins, s.Calls, workers*rounds)
	}
	var refused uint64
	for _, n := range s.Refused {
		refused += n
	}
	if s.Accepted[WeChat]+refused != workers*rounds {
		t.Errorf("accepted %d + refused %d, want %d", s.Accepted[WeChat], refused, workers*rounds)
	}
}
