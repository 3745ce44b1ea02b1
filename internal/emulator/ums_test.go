package emulator

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const umsBasic = "Authorization: Basic N2Q0MzFlNDJkZmE2YTZkNjkzYWMyZDA0OjVlOTg3YWM2ZDJlMDRkOTVhOWQ4ZjBkMQ=="

// umsToken logs in and returns the token. It may be called from any goroutine.
func (b *bench) umsToken(kind string) string {
	r := httptest.NewRequest("GET", "/ums/v1/token?type="+kind, nil)
	r.SetBasicAuth(UMSChannelKey, UMSMasterSecret)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	token := gjson.Get(w.Body.String(), "token").String()
	if token == "" {
		b.t.Errorf("login for %s: %s", kind, w.Body)
	}
	return token
}

func TestUMSLogin(t *testing.T) {
	for _, tc := range []struct {
		name, request, auth string
		set                 func(s *Settings)
		status              int
		want                []string
	}{
		{"ok", "GET /ums/v1/token?type=wechatoa", umsBasic, nil, 200, []string{"code=0", "expires_in=7000"}},
		{"ok at the root", "GET /v1/token?type=dingtalkcc", umsBasic, nil, 200, []string{"code=0"}},
		{"wrong secret", "GET /ums/v1/token?type=wechatoa", "Authorization: Basic YTpi", nil, 200, []string{"code=4005", "token=-"}},
		{"no credentials", "GET /ums/v1/token?type=wechatoa", "X: y", nil, 200, []string{"code=4005", "token=-"}},
		{"wrong secret as 401", "GET /ums/v1/token?type=wechatoa", "X: y", func(s *Settings) { s.HTTP401 = true }, 401, []string{"code=4005"}},
		{"unknown type", "GET /ums/v1/token?type=wechat", umsBasic, nil, 200, []string{"code=4004", "token=-"}},
		{"no type", "GET /ums/v1/token", umsBasic, nil, 200, []string{"code=4004"}},
		{"method", "POST /ums/v1/token?type=wechatoa", umsBasic, nil, 405, nil},
		{"other call", "POST /ums/v1/sent", umsBasic, nil, 200, []string{"code=0", "token=-"}},
		{"other call, no credentials", "POST /ums/v1/sent", "X: y", nil, 200, []string{"code=4005"}},
		{"unknown path", "GET /ums/v2/token", umsBasic, nil, 404, nil},
		{"ttl", "GET /ums/v1/token?type=wechatoa", umsBasic, func(s *Settings) { s.TTL = Duration(90 * time.Second) }, 200, []string{"expires_in=90"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, UMS, Options{})
			if tc.set != nil {
				b.set(tc.set)
			}
			b.want(tc.name, b.ask(tc.request, "", tc.auth), tc.status, tc.want...)
		})
	}
}

func TestUMSExpiresIsText(t *testing.T) {
	b := start(t, UMS, Options{})
	a := b.ask("GET /ums/v1/token?type=wechatoa", "", umsBasic)
	if got := gjson.Get(a.body, "expires_in"); got.Type != gjson.String {
		t.Errorf("expires_in is %s, want a JSON string", got.Raw)
	}
	b.set(func(s *Settings) { s.Lifetime = LifetimeNumber })
	a = b.ask("GET /ums/v1/token?type=wechatoa", "", umsBasic)
	if got := gjson.Get(a.body, "expires_in"); got.Type != gjson.Number {
		t.Errorf("expires_in is %s, want a JSON number", got.Raw)
	}
}

func TestUMSModes(t *testing.T) {
	code := func(b *bench, token string) string {
		return b.ask("GET /wechat/x?access_token="+token, "").get("errcode")
	}
	t.Run("same until", func(t *testing.T) {
		b := start(t, UMS, Options{})
		first := b.umsToken("wechatoa")
		b.advance(6699 * time.Second)
		a := b.ask("GET /ums/v1/token?type=wechatoa", "", umsBasic)
		if a.get("token") != first || a.get("expires_in") != "301" {
			t.Errorf("301 s before expiry: %s, want the same token", a.body)
		}
		b.advance(2 * time.Second)
		second := b.umsToken("wechatoa")
		if second == first {
			t.Error("299 s before expiry the token is still the same")
		}
		if code(b, first) != "0" || code(b, second) != "0" {
			t.Error("both tokens are to work until the first expires")
		}
		b.advance(300 * time.Second)
		if got := code(b, first); got != "42001" {
			t.Errorf("the first token after its time: errcode %s, want 42001", got)
		}
	})
	t.Run("short life", func(t *testing.T) {
		b := start(t, UMS, Options{TTL: 10 * time.Second})
		first := b.umsToken("wechatoa")
		b.advance(6 * time.Second)
		if b.umsToken("wechatoa") != first {
			t.Error("another token with 4/10 of the lifetime left")
		}
		b.advance(1500 * time.Millisecond)
		if b.umsToken("wechatoa") == first {
			t.Error("the same token with a quarter of the lifetime left: a client that renews at 3/4 would never get another")
		}
	})
	t.Run("overlap", func(t *testing.T) {
		b := start(t, UMS, Options{})
		b.set(func(s *Settings) { s.UMS.Mode = RotateWithOverlap })
		first, second := b.umsToken("wechatoa"), b.umsToken("wechatoa")
		if first == second || code(b, first) != "0" {
			t.Error("want two tokens, both good")
		}
		b.advance(5 * time.Minute)
		if code(b, first) != "40001" || code(b, second) != "0" {
			t.Error("after the overlap the first is to be 40001, the second good")
		}
	})
	t.Run("immediate", func(t *testing.T) {
		b := start(t, UMS, Options{})
		b.set(func(s *Settings) { s.UMS.Mode = RotateImmediate })
		first, second := b.umsToken("wechatoa"), b.umsToken("wechatoa")
		if code(b, first) != "40001" || code(b, second) != "0" {
			t.Error("the first is to be 40001 at once, the second good")
		}
		if n := b.Stats().Superseded; n != 1 {
			t.Errorf("superseded %d, want 1", n)
		}
	})
}

func TestPlatforms(t *testing.T) {
	for _, tc := range []struct {
		name   string
		kind   string
		target string // %s: the token
		header bool   // the token goes into DingTalk's header
		// Wanted code member and values: good, absent, unknown, of another
		// platform, expired, rotated, kicked.
		member string
		want   [7]string
		status int // of refusals
	}{
		{"wechat", "wechatoa", "/wechat/cgi-bin/user/get?lang=zh&access_token=%s", false, "errcode",
			[7]string{"0", "41001", "40014", "40014", "42001", "40001", "40001"}, 200},
		{"wechat mini program", "wechatmp", "/wechat/wxa/x?access_token=%s", false, "errcode",
			[7]string{"0", "41001", "40014", "40014", "42001", "40001", "40001"}, 200},
		{"wecom", "wechatwk", "/wecom/cgi-bin/user/get?access_token=%s", false, "errcode",
			[7]string{"0", "41001", "40014", "40014", "42001", "40014", "40014"}, 200},
		{"dingtalk-old", "dingtalkcc", "/dingtalk-old/topapi/v2/user/get?access_token=%s", false, "errcode",
			[7]string{"0", "40014", "40014", "40014", "40014", "40014", "40014"}, 200},
		{"dingtalk-new", "dingtalkcc", "/dingtalk-new/v1.0/contact/users/me", true, "code",
			[7]string{"", "InvalidAuthentication", "InvalidAuthentication", "InvalidAuthentication", "InvalidAuthentication", "InvalidAuthentication", "InvalidAuthentication"}, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, UMS, Options{})
			check := func(i int, what, token string) {
				t.Helper()
				a := b.ask("POST "+strings.ReplaceAll(tc.target, "%s", token), "{}")
				if tc.header {
					a = b.ask("POST "+tc.target, "{}", "x-acs-dingtalk-access-token: "+token)
				}
				status := tc.status
				if i == 0 {
					status = 200
				}
				if got := a.get(tc.member); got != tc.want[i] || a.status != status {
					t.Errorf("%s: status %d %s=%s, want %d %s; body %s", what, a.status, tc.member, got, status, tc.want[i], a.body)
				}
			}
			other := map[bool]string{true: "wechatoa", false: "dingtalkcc"}[tc.kind == "dingtalkcc"]
			check(0, "good", b.umsToken(tc.kind))
			check(1, "absent", "")
			check(2, "unknown", "abc")
			check(3, "of another platform", b.umsToken(other))
			for i, action := range []ActionName{Expire, Rotate, Kick} {
				token := b.umsToken(tc.kind)
				if n := b.act(Action{Do: action, Kind: tc.kind}); n != 1 {
					t.Errorf("%s ended %d tokens, want 1", action, n)
				}
				check(4+i, string(action), token)
				if b.umsToken(tc.kind) == token {
					t.Errorf("after %s the login returns the same token", action)
				}
			}
		})
	}
}

func TestPlatformSwitches(t *testing.T) {
	b := start(t, UMS, Options{})
	ding, wechat, wecom := b.umsToken("dingtalkcc"), b.umsToken("wechatoa"), b.umsToken("wechatwk")
	b.want("wecom's own login", b.ask("GET /wecom/cgi-bin/gettoken?corpid=a&corpsecret=b&access_token="+wecom, ""), 200, "errcode=40001")
	b.want("media", b.ask("GET /wechat/cgi-bin/media/get?media_id=1&access_token=x", ""), 200, "errcode=40014")
	a := b.ask("GET /wechat/cgi-bin/media/get?size=100000&access_token="+wechat, "")
	if len(a.body) != 100000 || a.header.Get("Content-Type") != "image/jpeg" || a.header.Get("Content-Length") != "100000" {
		t.Errorf("media: %d bytes, header %v", len(a.body), a.header)
	}
	b.set(func(s *Settings) { s.WeChat.Bare, s.DingTalk.Wrapped = true, true })
	b.want("bare", b.ask("GET /wechat/x?access_token="+wechat, ""), 200, "errcode=-", "total=1")
	b.want("wrapped", b.ask("GET /dingtalk-old/x?access_token=y", ""), 200, "errcode=88", "sub_code=40014")

	b.set(func(s *Settings) { s.API.Fault = FaultDeny })
	b.want("no permission", b.ask("GET /dingtalk-old/x?access_token="+ding, ""), 200, "errcode=88", "sub_code=60011")
	b.want("no permission", b.ask("GET /dingtalk-new/x", "", "x-acs-dingtalk-access-token: "+ding), 403, "code=Forbidden.AccessDenied.AccessTokenPermissionDenied")
	b.want("no permission", b.ask("GET /wechat/x?access_token="+wechat, ""), 200, "errcode=48001")
	b.want("no permission", b.ask("GET /wecom/x?access_token="+wecom, ""), 200, "errcode=60011")
	b.want("a bad token comes first", b.ask("GET /wechat/x?access_token=y", ""), 200, "errcode=40014")
	b.set(func(s *Settings) { s.API.Status = 403 })
	b.want("as 403", b.ask("GET /wechat/x?access_token="+wechat, ""), 403, "errcode=48001")
	b.want("a bad token is no denial", b.ask("GET /wechat/x?access_token=y", ""), 200, "errcode=40014")
}

func TestQueryValue(t *testing.T) {
	for _, tc := range [][2]string{
		{"access_token=a", "a"},
		{"x=1&access_token=a&access_token=b", "a"},
		{"access_token=a%2Bb%3D", "a+b="},
		{"access_token=%zz", ""},
		{"Access_token=a", ""},
		{"", ""},
	} {
		if got := queryValue(tc[0], "access_token"); got != tc[1] {
			t.Errorf("queryValue(%q) = %q, want %q", tc[0], got, tc[1])
		}
	}
}

func TestUMSTrouble(t *testing.T) {
	const login = "GET /ums/v1/token?type=wechatoa"
	for _, tc := range []struct {
		trouble Trouble
		status  int
		want    []string
	}{
		{Trouble{Fault: FaultDown}, 200, []string{"code=5000", "message=错误信息"}},
		{Trouble{Fault: FaultDown, Status: 503}, 503, []string{"code=5000"}},
		{Trouble{Fault: FaultThrottle}, 429, []string{"code=1015030"}},
		{Trouble{Fault: FaultThrottle, Status: 200}, 200, []string{"code=1015030"}},
		{Trouble{Fault: FaultDeny}, 200, []string{"code=4005"}},
	} {
		b := start(t, UMS, Options{})
		b.set(func(s *Settings) { s.Login = tc.trouble })
		b.want(fmt.Sprintf("%+v", tc.trouble), b.ask(login, "", umsBasic), tc.status, append(tc.want, "token=-")...)
		b.set(func(s *Settings) { s.Login = Trouble{} })
		b.want("afterwards", b.ask(login, "", umsBasic), 200, "code=0")
	}
}
