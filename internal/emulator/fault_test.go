package emulator

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
)

func gunzip(t *testing.T, text string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const umsAsk = "GET /ums/v1/token?type=wechatoa"

// TestTroubleEveryVendor lets every vendor's login and one call be down,
// throttled and denied: each says it in its own words.
func TestTroubleEveryVendor(t *testing.T) {
	type shape struct {
		status int
		member string
	}
	for _, tc := range []struct {
		vendor, login, body  string
		headers              []string
		call                 func(b *bench) answer
		down, throttle, deny shape // of the login
		calls                [3]shape
	}{
		{
			UMS, umsAsk, "", []string{umsBasic},
			func(b *bench) answer { return b.ask("GET /wechat/x?access_token="+b.umsToken("wechatoa"), "") },
			shape{200, "code=5000"}, shape{429, "code=1015030"}, shape{200, "code=4005"},
			[3]shape{{200, "errcode=-1"}, {429, "errcode=45009"}, {200, "errcode=48001"}},
		}, {
			QiniuIM, "POST /token/user", `{"name":"alice","password":"` + QiniuPassword + `"}`, []string{qiniuApp, qiniuJSON},
			func(b *bench) answer { return b.ask("GET /user/info", "", qiniuApp, "access-token: "+b.qiniuToken(1)) },
			shape{200, "code=20000"}, shape{429, "code=429"}, shape{200, "code=10000"},
			[3]shape{{200, "code=20000"}, {429, "code=429"}, {200, "code=10010"}},
		}, {
			HuaweiAICC, "POST " + aiccTokenPath, aiccBody, []string{aiccJSON},
			func(b *bench) answer {
				access := b.aiccAccess()
				a, _ := b.poll("u", access, b.aiccMessaging(access, "u"))
				return a
			},
			shape{500, "errorCode=500"}, shape{429, "errorCode=429"}, shape{401, "errorCode=401"},
			[3]shape{{500, "errorCode=500"}, {429, "errorCode=429"}, {401, "errorCode=401"}},
		}, {
			OpenIM, "POST /auth/user_token", `{"secret":"openIM123","platformID":1,"userID":"u"}`, []string{opID},
			func(b *bench) answer { return b.ask("POST /x/y", "{}", opID, b.openIMUser("u", 1)) },
			shape{500, "errCode=500"}, shape{429, "errCode=500"}, shape{200, "errCode=1002"},
			[3]shape{{500, "errCode=500"}, {429, "errCode=500"}, {200, "errCode=1002"}},
		},
	} {
		b := start(t, tc.vendor, Options{})
		for i, f := range []Fault{FaultDown, FaultThrottle, FaultDeny} {
			want := []shape{tc.down, tc.throttle, tc.deny}[i]
			b.set(func(s *Settings) {
				*s = defaultSettings()
				s.Login = Trouble{Fault: f, RetryAfter: Duration(7 * time.Second)}
			})
			a := b.ask(tc.login, tc.body, tc.headers...)
			b.want(tc.vendor+" login "+string(f), a, want.status, want.member)
			if got := a.header.Get("Retry-After"); (got == "7") != (f == FaultThrottle) {
				t.Errorf("%s login %s: Retry-After %q", tc.vendor, f, got)
			}
			b.set(func(s *Settings) { s.Login, s.API = Trouble{}, Trouble{Fault: f} })
			b.want(tc.vendor+" call "+string(f), tc.call(b), tc.calls[i].status, tc.calls[i].member)
		}
		s := b.Stats()
		for _, f := range []Fault{FaultDown, FaultThrottle, FaultDeny} {
			if s.LoginsTroubled[string(f)] != 1 || s.Troubled[string(f)] != 1 {
				t.Errorf("%s: troubled logins %v, calls %v, want 1 %s each", tc.vendor, s.LoginsTroubled, s.Troubled, f)
			}
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	b := start(t, UMS, Options{})
	ordinary := b.ask(umsAsk, "", umsBasic).body
	ask := func(login Trouble) answer {
		t.Helper()
		b.set(func(s *Settings) { s.Login = login })
		return b.ask(umsAsk, "", umsBasic)
	}
	if a := ask(Trouble{Fault: FaultHTML}); a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.body, "<title>") {
		t.Errorf("html: %+v", a)
	}
	if a := ask(Trouble{Fault: FaultHTML, Status: 502}); a.status != 502 {
		t.Errorf("html with a status: %+v", a)
	}
	if a := ask(Trouble{Fault: FaultTruncated}); a.body != ordinary[:len(ordinary)/2] {
		t.Errorf("truncated: %s", a.body)
	}
	if a := ask(Trouble{Fault: FaultEmpty}); a.status != 200 || a.body != "" {
		t.Errorf("empty: %+v", a)
	}
	token := gjson.Get(ordinary, "token").String()
	if a := ask(Trouble{Fault: FaultLineBreak}); !strings.Contains(a.get("token"), "\r\n") || strings.ReplaceAll(a.get("token"), "\r\n", "") != token {
		t.Errorf("line break: %s", a.body)
	}
	func() {
		defer func() {
			if r := recover(); r != http.ErrAbortHandler {
				t.Errorf("drop: recovered %v, want http.ErrAbortHandler", r)
			}
		}()
		ask(Trouble{Fault: FaultDrop})
	}()
	b.set(func(s *Settings) { s.Login, s.ContentType = Trouble{}, "text/plain" })
	if a := b.ask(umsAsk, "", umsBasic); a.header.Get("Content-Type") != "text/plain" || a.body != ordinary {
		t.Errorf("content type: %+v", a)
	}
}

// hangUp is a client that takes a number of bytes and then hangs up.
type hangUp struct {
	httptest.ResponseRecorder
	left int
}

func (h *hangUp) Write(p []byte) (int, error) {
	if h.left -= len(p); h.left < 0 {
		return 0, errors.New("client went away")
	}
	return h.ResponseRecorder.Write(p)
}

func TestEndlessAnswer(t *testing.T) {
	b := start(t, UMS, Options{})
	b.set(func(s *Settings) { s.Login.Fault = FaultEndless })
	w := &hangUp{*httptest.NewRecorder(), 3 << 20}
	b.ServeHTTP(w, httptest.NewRequest("GET", "/ums/v1/token?type=wechatoa", nil))
	if n := w.Body.Len(); n < 2<<20 || !bytes.HasPrefix(w.Body.Bytes(), []byte(`{"code":0,`)) {
		t.Errorf("%d bytes before the client went away, want 2 MB or more of something like JSON", n)
	}
}

func TestTroubleFilters(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	access := b.aiccAccess()
	b.set(func(s *Settings) { s.Login = Trouble{Fault: FaultDown, Only: "messaging"} })
	b.want("the other login", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), 200)
	b.want("this login", b.ask("POST "+aiccApplyPath, aiccApplyBody("u"), aiccJSON, aiccKey, access), 500)

	b.set(func(s *Settings) { s.Login = Trouble{Fault: FaultDown, Times: 2} })
	for i, want := range []int{500, 500, 200} {
		if got := b.Settings().Login.Times; got != max(0, 2-i) {
			t.Errorf("before request %d: times %d", i, got)
		}
		b.want("times", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), want)
	}
	if got := b.Settings().Login; got != (Trouble{}) {
		t.Errorf("a trouble that is used up is shown as %+v", got)
	}
	// The same again is a new trouble; a change of something else leaves it alone.
	b.set(func(s *Settings) { s.Login = Trouble{Fault: FaultDown, Times: 2} })
	b.want("again", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), 500)
	b.set(func(s *Settings) { s.TokenSize = 9 })
	b.want("the last time", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), 500)
	b.want("over", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), 200)

	b.set(func(s *Settings) { s.Login = Trouble{Fault: FaultDown, For: Duration(time.Minute)} })
	b.advance(59 * time.Second)
	b.want("before the end", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), 500)
	b.set(func(s *Settings) { s.TokenSize = 8 }) // does not prolong it
	b.advance(time.Second)
	b.want("after the end", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON), 200)

	b.set(func(s *Settings) { s.API = Trouble{Fault: FaultDeny, Path: aiccAPI + "send"} })
	messaging := b.aiccMessaging(access, "u1")
	b.want("this path", b.ask("POST "+aiccAPI+"sendAsync", `{"controlType":"CHAT","from":"u1"}`, aiccKey, access, messaging), 401)
	a, _ := b.poll("u1", access, messaging)
	b.want("another path", a, 200)

	ums := start(t, UMS, Options{})
	ums.set(func(s *Settings) { s.API = Trouble{Fault: FaultDown, Only: WeCom} })
	ums.want("this platform", ums.ask("GET /wecom/x?access_token=y", ""), 200, "errcode=-1")
	ums.want("another platform", ums.ask("GET /wechat/x?access_token=y", ""), 200, "errcode=40014")
}

// TestDelay shows in virtual time that a call is judged when it arrives, a login
// when its answer goes out, and that a client that leaves is not waited for.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(UMS, Options{TTL: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t, e, nil}
		slow := Trouble{Delay: Duration(time.Minute)}
		b.set(func(s *Settings) { s.API, s.Login = slow, slow })
		start := time.Now()
		token := b.umsToken("wechatoa")
		if d := time.Since(start); d != time.Minute {
			t.Errorf("the login took %s", d)
		}
		// A minute later the token would have expired.
		b.want("slow call", b.ask("GET /wechat/x?access_token="+token, ""), 200, "errcode=0")
		if d := time.Since(start); d != 2*time.Minute {
			t.Errorf("login and call took %s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/wechat/x", nil))
		if d := time.Since(start); d != time.Second {
			t.Errorf("a call whose client left took %s", d)
		}
		if s := e.Stats(); s.Troubled["delay"] != 2 || s.LoginsTroubled["delay"] != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestLifetimes(t *testing.T) {
	for _, tc := range []struct {
		vendor, request, body, path string
		headers                     []string
		want                        map[Lifetime]string // JSON; "": absent
	}{
		{UMS, umsAsk, "", "expires_in", []string{umsBasic}, map[Lifetime]string{
			LifetimeTrue: `"60"`, LifetimeMissing: "", LifetimeZero: `"0"`, LifetimeNegative: `"-1"`, LifetimePast: `"-3600"`,
			LifetimeHuge: `"1000000000000"`, LifetimeString: `"60"`, LifetimeNumber: `60`,
		}},
		{QiniuIM, "POST /token/user", `{"name":"alice","password":"` + QiniuPassword + `"}`, "data.expire", []string{qiniuApp, qiniuJSON}, map[Lifetime]string{
			LifetimeTrue: `1700000060000`, LifetimeMissing: "", LifetimeZero: `0`, LifetimeNegative: `-1`, LifetimePast: `1699996400000`,
			LifetimeHuge: `1001700000000000`, LifetimeString: `"1700000060000"`, LifetimeNumber: `1700000060000`,
		}},
		{HuaweiAICC, "POST " + aiccTokenPath, aiccBody, "Expires", []string{aiccJSON}, map[Lifetime]string{
			LifetimeTrue: `"60"`, LifetimeMissing: "", LifetimeNumber: `60`, LifetimePast: `"-3600"`,
		}},
		{OpenIM, "POST /auth/user_token", `{"secret":"openIM123","platformID":1,"userID":"u"}`, "data.expireTimeSeconds", []string{opID}, map[Lifetime]string{
			LifetimeTrue: `60`, LifetimeMissing: "", LifetimeString: `"60"`, LifetimeHuge: `1000000000000`,
		}},
	} {
		b := start(t, tc.vendor, Options{TTL: time.Minute})
		for l, want := range tc.want {
			b.set(func(s *Settings) { s.Lifetime = l })
			a := b.ask(tc.request, tc.body, tc.headers...)
			if got := gjson.Get(a.body, tc.path).Raw; got != want || !gjson.Valid(a.body) {
				t.Errorf("%s, lifetime %q: %s = %s, want %s; body %s", tc.vendor, l, tc.path, got, want, a.body)
			}
		}
	}
}

func TestSameToken(t *testing.T) {
	b := start(t, UMS, Options{})
	token := b.umsToken("wechatoa")
	b.set(func(s *Settings) { s.SameToken = true })
	for _, action := range []ActionName{Rotate, Kick, Expire} {
		b.act(Action{Do: action})
		a := b.ask(umsAsk, "", umsBasic)
		b.want("login", a, 200, "token="+token, "expires_in=7000")
		b.want("call", b.ask("GET /wechat/x?access_token="+token, ""), 200, "errcode=40001")
	}
	b.set(func(s *Settings) { s.SameToken = false })
	if b.umsToken("wechatoa") == token {
		t.Error("the same token after the fault ended")
	}
	if s := b.Stats(); s.Logins["wechatoa"] != 5 || s.Issued["wechatoa"] != 2 {
		t.Errorf("logins %v, issued %v, want 5 and 2", s.Logins, s.Issued)
	}
	// The one account's newest token, not another's.
	aicc := start(t, HuaweiAICC, Options{})
	aicc.set(func(s *Settings) { s.SameToken = true })
	access := aicc.aiccAccess()
	if u1 := aicc.aiccMessaging(access, "u1"); u1 == aicc.aiccMessaging(access, "u2") || u1 != aicc.aiccMessaging(access, "u1") {
		t.Error("want the same token for the same user alone")
	}
}

func TestRotateWithGrace(t *testing.T) {
	b := start(t, UMS, Options{})
	token := b.umsToken("wechatoa")
	b.act(Action{Do: Rotate, Grace: Duration(10 * time.Second)})
	b.advance(9 * time.Second)
	b.want("within the grace", b.ask("GET /wechat/x?access_token="+token, ""), 200, "errcode=0")
	if b.umsToken("wechatoa") == token {
		t.Error("the login returns the rotated token")
	}
	b.advance(time.Second)
	b.want("after it", b.ask("GET /wechat/x?access_token="+token, ""), 200, "errcode=40001")
}

func TestGzipSwitch(t *testing.T) {
	b := start(t, UMS, Options{})
	for _, tc := range []struct {
		gzip   Gzip
		accept string
		want   bool
	}{
		{GzipVendor, "gzip", false}, {GzipAccepted, "gzip", true}, {GzipAccepted, "identity", false},
		{GzipAlways, "identity", true}, {GzipOff, "gzip", false},
	} {
		b.set(func(s *Settings) { s.Gzip = tc.gzip })
		for range 2 { // the second takes a used compressor
			a := b.ask("GET /wechat/x?access_token=y", "", "Accept-Encoding: "+tc.accept)
			if got := a.header.Get("Content-Encoding") == "gzip"; got != tc.want {
				t.Errorf("gzip %q, accepted %q: compressed %v", tc.gzip, tc.accept, got)
			} else if got && !strings.HasPrefix(gunzip(t, a.body), `{"errcode":40014,`) {
				t.Errorf("body %q", gunzip(t, a.body))
			}
		}
	}
}

// TestBrokenBody sends a body that breaks off.
func TestBrokenBody(t *testing.T) {
	b := start(t, UMS, Options{})
	r := httptest.NewRequest("POST", "/wechat/x?access_token=y", io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("status %d, want 400", w.Code)
	}
}

// TestRealServer checks what a recorder cannot show: dropped connections, the
// vendor's spelling of a header, and uploads that are swallowed or not.
func TestRealServer(t *testing.T) {
	e, err := New(HuaweiAICC, Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(e)
	defer srv.Close()
	b := &bench{t, e, nil}
	b.set(func(s *Settings) { s.AICC.Renew = RenewAlways })
	access := b.aiccAccess()
	_, messaging, _ := strings.Cut(b.aiccMessaging(access, "u1"), ": ")
	req, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL+aiccAPI+"poll?channel=WEB&receiverId=u1", nil)
	_, bearer, _ := strings.Cut(access, ": ")
	req.Header = http.Header{"Authorization": {bearer}, "X-App-Key": {AICCAppKey}, "Ccmessaging-Token": {messaging}}
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("ccmessaging-token") == "" {
		t.Errorf("status %d, header %v", res.StatusCode, res.Header)
	}
	b.set(func(s *Settings) { s.API.Fault = FaultDrop })
	if res, err := srv.Client().Do(req); err == nil {
		res.Body.Close()
		t.Errorf("dropped: status %d, want an error", res.StatusCode)
	}
	b.set(func(s *Settings) { s.API, s.Early = Trouble{}, true })
	body, _ := io.Pipe() // never ends
	req, _ = http.NewRequestWithContext(t.Context(), "POST", srv.URL+aiccAPI+"send", body)
	res, err = srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != 403 {
		t.Errorf("early: status %d, want 403", res.StatusCode)
	}
	body.Close()
}
