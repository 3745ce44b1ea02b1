package emulator

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const (
	aiccJSON = "Content-Type: application/json; charset=UTF-8"
	aiccKey  = "x-app-key: " + AICCAppKey
	aiccBody = `{"app_key":"` + AICCAppKey + `","app_secret":"` + AICCAppSecret + `"}`
)

// aiccAccess logs in at the first layer and returns the Authorization header.
func (b *bench) aiccAccess() string {
	b.t.Helper()
	a := b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON, "X-Token-Expire: 3600")
	if a.get("AccessToken") == "" {
		b.t.Fatalf("tokenByAkSk: %s", a.body)
	}
	return "Authorization: Bearer " + a.get("AccessToken")
}

func aiccApplyBody(user string) string {
	return fmt.Sprintf(`{"userId":"%s","userName":"n","channelId":"%s","locale":"en"}`, user, AICCChannelID)
}

// aiccMessaging logs in at the second layer and returns the token's header.
func (b *bench) aiccMessaging(access, user string) string {
	b.t.Helper()
	a := b.ask("POST "+aiccApplyPath, aiccApplyBody(user), aiccJSON, aiccKey, access)
	if a.get("token") == "" {
		b.t.Fatalf("applyToken: %d %s", a.status, a.body)
	}
	return "ccmessaging-token: " + a.get("token")
}

// poll calls the API as a user; it returns the answer and the renewed token's
// header line, "" if there is none.
func (b *bench) poll(user, access, messaging string) (answer, string) {
	b.t.Helper()
	a := b.ask("GET "+aiccAPI+"poll?channel=WEB&receiverId="+user, "", aiccKey, access, messaging)
	return a, a.renewed()
}

// renewed returns the header line of the token that an answer brings, in the
// spelling of the answer, or "".
func (a answer) renewed() string {
	for name, values := range a.header {
		if strings.EqualFold(name, "ccmessaging-token") {
			return name + ": " + values[0]
		}
	}
	return ""
}

func TestAICCAccess(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		headers    []string
		status     int
		want       []string
	}{
		{"default", aiccBody, []string{aiccJSON}, 200, []string{"Expires=600", "ApplyType=Bearer", "CreateTime=1700000000", "UserID=Anonymous", "AppKey=" + AICCAppKey}},
		{"asked", aiccBody, []string{aiccJSON, "X-Token-Expire: 1200"}, 200, []string{"Expires=1200"}},
		{"capped", aiccBody, []string{aiccJSON, "X-Token-Expire: 7200"}, 200, []string{"Expires=3600"}},
		{"bad time", aiccBody, []string{aiccJSON, "X-Token-Expire: soon"}, 400, []string{"errorCode=400", "AccessToken=-"}},
		{"zero time", aiccBody, []string{aiccJSON, "X-Token-Expire: 0"}, 400, nil},
		{"wrong secret", `{"app_key":"` + AICCAppKey + `","app_secret":"x"}`, []string{aiccJSON}, 401, []string{"errorCode=401", "AccessToken=-"}},
		{"no JSON", `x`, []string{aiccJSON}, 400, nil},
		{"no content type", aiccBody, nil, 400, nil},
	} {
		b := start(t, HuaweiAICC, Options{})
		a := b.ask("POST "+aiccTokenPath, tc.body, tc.headers...)
		b.want(tc.name, a, tc.status, tc.want...)
		if tc.status == 200 {
			gjson.Parse(a.body).ForEach(func(k, v gjson.Result) bool {
				if v.Type != gjson.String {
					t.Errorf("%s: %s is %s, want a string", tc.name, k, v.Raw)
				}
				return true
			})
		}
	}
	b := start(t, HuaweiAICC, Options{TTL: 5 * time.Second})
	b.want("ttl", b.ask("POST "+aiccTokenPath, aiccBody, aiccJSON, "X-Token-Expire: 3600"), 200, "Expires=5")
	b.want("method", b.ask("GET "+aiccTokenPath, ""), 405)
	b.want("path", b.ask("POST /apigovernance/x", ""), 404)
}

func TestAICCApply(t *testing.T) {
	long := strings.Repeat("ü", 33)
	for _, tc := range []struct {
		name, body string
		drop       string // header to leave out
		status     int
		want       []string
	}{
		{"ok", aiccApplyBody("u1"), "", 200, []string{"resultCode=0", "resultDesc=-"}},
		{"32 characters", aiccApplyBody(long[2:]), "", 200, []string{"resultCode=0"}},
		{"33 characters", aiccApplyBody(long), "", 400, []string{"token=-"}},
		{"empty user", aiccApplyBody(""), "", 400, nil},
		{"no locale", `{"userId":"u","userName":"n","channelId":"c"}`, "", 400, nil},
		{"bad locale", `{"userId":"u","userName":"n","channelId":"c","locale":"de"}`, "", 400, nil},
		{"no key", aiccApplyBody("u1"), aiccKey, 400, nil},
		{"no access token", aiccApplyBody("u1"), "access", 403, []string{"exceptionInfo=auth fail! illegal or expired token info. please apply or refresh the access token from the server!"}},
		{"no content type", aiccApplyBody("u1"), aiccJSON, 400, nil},
	} {
		b := start(t, HuaweiAICC, Options{})
		var headers []string
		for name, h := range map[string]string{aiccKey: aiccKey, aiccJSON: aiccJSON, "access": b.aiccAccess()} {
			if name != tc.drop {
				headers = append(headers, h)
			}
		}
		b.want(tc.name, b.ask("POST "+aiccApplyPath, tc.body, headers...), tc.status, tc.want...)
	}
}

// TestAICCTokenText checks that the token is one that a client spoils when it
// decodes or encodes it.
func TestAICCTokenText(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	access := b.aiccAccess()
	for i := range 40 {
		b.set(func(s *Settings) { s.TokenSize = 100 * (i % 3) })
		user := "u" + strings.Repeat("x", i%20)
		_, token, _ := strings.Cut(b.aiccMessaging(access, user), ": ")
		if !strings.HasSuffix(token, "%3D") || strings.HasSuffix(token, "%3D%3D") || len(token) < 100*(i%3) {
			t.Fatalf("token %s does not end in one %%3D", token)
		}
		text, err := url.QueryUnescape(token)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || gjson.GetBytes(raw, "userId").String() != user || gjson.GetBytes(raw, "channelId").String() != AICCChannelID || gjson.GetBytes(raw, "createTime").Int() < 1.7e12 {
			t.Fatalf("token contains %s (%v)", raw, err)
		}
	}
	b.set(func(s *Settings) { s.AICC.Quotes = true })
	a := b.ask("POST "+aiccApplyPath, aiccApplyBody("u1"), aiccJSON, aiccKey, access)
	quoted := a.get("token")
	if !strings.HasPrefix(quoted, `"ey`) || !strings.HasSuffix(quoted, `%3D"`) {
		t.Errorf("quoted token %s", quoted)
	}
	a, _ = b.poll("u1", access, "ccmessaging-token: "+strings.Trim(quoted, `"`))
	b.want("the token without quotes", a, 200, "resultCode=0")
}

func TestAICCLayers(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	access := b.aiccAccess()
	messaging := b.aiccMessaging(access, "u1")
	const bad, badAccess = "ccmessaging-token: x", "Authorization: Bearer x"
	for _, tc := range []struct {
		name, access, messaging string
		status                  int
	}{
		{"both good", access, messaging, 200},
		{"messaging bad", access, bad, 401},
		{"messaging absent", access, "X: y", 401},
		{"access bad", badAccess, messaging, 403},
		{"access absent", "X: y", messaging, 403},
		{"access without Bearer", strings.Replace(access, "Bearer ", "", 1), messaging, 403},
		{"access with two spaces", strings.Replace(access, "Bearer ", "Bearer  ", 1), messaging, 403},
		{"both bad: 403 first", badAccess, bad, 403},
		{"messaging token as access", strings.Replace(messaging, "ccmessaging-token: ", "Authorization: Bearer ", 1), messaging, 403},
		{"access token as messaging", access, strings.Replace(access, "Authorization: Bearer ", "ccmessaging-token: ", 1), 401},
	} {
		a, renewed := b.poll("u1", tc.access, tc.messaging)
		b.want(tc.name, a, tc.status)
		if renewed != "" {
			t.Errorf("%s: the answer carries a renewed token", tc.name)
		}
	}
	// A second access token does not end the first; ending one kind leaves the other.
	b.aiccAccess()
	b.act(Action{Do: Expire, Kind: "access"})
	a, _ := b.poll("u1", access, messaging)
	b.want("access expired", a, 403)
	a, _ = b.poll("u1", b.aiccAccess(), messaging)
	b.want("access renewed, messaging left alone", a, 200)
	b.act(Action{Do: Kick, Kind: "messaging", Owner: "u1"})
	a, _ = b.poll("u1", b.aiccAccess(), messaging)
	b.want("messaging kicked", a, 401, "errorCode=401")
}

func TestAICCCalls(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	access := b.aiccAccess()
	messaging := b.aiccMessaging(access, "u1")
	for _, tc := range []struct {
		request, body string
		status        int
		want          []string
	}{
		{"POST send", `{"controlType":"CONNECT","from":"u1"}`, 200, []string{"resultCode=0", "resultDesc=connect to robot successfully."}},
		{"POST sendAsync", `{"controlType":"CHAT","from":"u1"}`, 200, []string{"resultCode=0", "resultDesc=send sendMessageForOpenApiAsync success."}},
		{"POST send", `{"controlType":"CHAT","from":"u2"}`, 200, []string{"resultCode=1"}},
		{"POST send", `{"controlType":"SHOUT","from":"u1"}`, 200, []string{"resultCode=1"}},
		{"POST send", `x`, 400, nil},
		{"GET poll?receiverId=u1&channel=WEB", ``, 200, []string{"resultCode=0", "downlinkMessages.0.to=u1"}},
		{"GET poll?receiverId=u2&channel=WEB", ``, 200, []string{"resultCode=1"}},
		{"GET poll?receiverId=u1", ``, 400, nil},
		{"POST queryHistoryChatMessage", `{}`, 200, []string{"resultCode=0"}},
		{"POST getconnectinfo", `{}`, 200, []string{"retcode=0"}},
		{"POST poll", ``, 405, nil},
		{"POST other", ``, 404, nil},
	} {
		method, path, _ := strings.Cut(tc.request, " ")
		b.want(tc.request+tc.body, b.ask(method+" "+aiccAPI+path, tc.body, aiccKey, access, messaging), tc.status, tc.want...)
	}
}

func TestAICCRenewal(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	access := b.aiccAccess
	first := b.aiccMessaging(access(), "u1")
	idle := b.aiccMessaging(access(), "u2")
	b.advance(59*time.Minute + 50*time.Second)
	if a, renewed := b.poll("u1", access(), first); a.status != 200 || renewed != "" {
		t.Fatalf("before expiry: status %d, renewed %q", a.status, renewed)
	}
	b.advance(10 * time.Second)
	a, _ := b.poll("u2", access(), idle)
	b.want("expired outside a session", a, 401)
	a, second := b.poll("u1", access(), first)
	_, third := b.poll("u1", access(), first)
	if a.status != 200 || second == "" || third == "" || second == third || second == first {
		t.Fatalf("expired within a session: status %d, renewed %q and %q", a.status, second, third)
	}
	b.advance(29 * time.Second)
	for _, token := range []string{first, second, third} {
		a, _ = b.poll("u1", access(), token)
		b.want("within the grace", a, 200)
	}
	b.advance(2 * time.Second)
	a, renewed := b.poll("u1", access(), first)
	b.want("after the grace", a, 401)
	if renewed != "" {
		t.Error("a refusal carries a renewed token")
	}
	a, renewed = b.poll("u1", access(), second)
	b.want("the renewed token", a, 200)
	if renewed != "" {
		t.Error("a good token was renewed")
	}
	if n := b.Stats().Renewed; n != 3 {
		t.Errorf("renewed %d, want 3", n)
	}
}

func TestAICCRenewalSwitches(t *testing.T) {
	b := start(t, HuaweiAICC, Options{TTL: 10 * time.Second})
	use := func(set func(s *Settings), send string) (answer, string) {
		t.Helper()
		b.Reset()
		if set != nil {
			b.set(set)
		}
		access, token := b.aiccAccess(), b.aiccMessaging(b.aiccAccess(), "u1")
		b.poll("u1", access, token)
		if send != "" {
			b.ask("POST "+aiccAPI+"send", send, aiccKey, access, token)
		}
		b.advance(10 * time.Second)
		return b.poll("u1", b.aiccAccess(), token)
	}
	a, renewed := use(nil, "")
	if a.status != 200 || renewed == "" {
		t.Errorf("by default: status %d, renewed %q", a.status, renewed)
	}
	a, _ = use(func(s *Settings) { s.AICC.Renew = RenewOff }, "")
	b.want("off", a, 401, "errorCode=401")
	a, _ = use(func(s *Settings) { s.AICC.Renew, s.AICC.ErrorBody = RenewOff, ErrorResult }, "")
	b.want("off, result body", a, 401, "errorCode=-", "resultCode=1")
	a, _ = use(func(s *Settings) { s.AICC.Renew, s.AICC.ErrorBody = RenewOff, ErrorEmpty }, "")
	if a.status != 401 || a.body != "" {
		t.Errorf("off, empty body: %d %q", a.status, a.body)
	}
	a, _ = use(func(s *Settings) { s.AICC.Session = Duration(5 * time.Second) }, "")
	b.want("session over", a, 401)
	a, _ = use(nil, `{"controlType":"DISCONNECT","from":"u1"}`)
	b.want("session ended", a, 401)

	// The renewed token belongs to the session, even if nobody used it yet, unless
	// the call that renewed it was the session's last.
	_, renewed = use(nil, "")
	b.advance(10 * time.Second)
	a, renewed = b.poll("u1", b.aiccAccess(), renewed)
	b.want("renewed, never used, expired", a, 200)
	b.advance(10 * time.Second)
	a = b.ask("POST "+aiccAPI+"send", `{"controlType":"DISCONNECT","from":"u1"}`, aiccKey, b.aiccAccess(), renewed)
	b.want("disconnect with an expired token", a, 200)
	b.advance(10 * time.Second)
	a, _ = b.poll("u1", b.aiccAccess(), a.renewed())
	b.want("session ended by the renewing call", a, 401)

	b.Reset()
	b.set(func(s *Settings) { s.AICC.Renew, s.AICC.Grace = RenewAlways, 0 })
	access, token := b.aiccAccess(), b.aiccMessaging(b.aiccAccess(), "u1")
	a, renewed = b.poll("u1", access, token)
	if a.status != 200 || renewed == "" {
		t.Errorf("always: status %d, renewed %q", a.status, renewed)
	}
	a, _ = b.poll("u1", access, token)
	b.want("always without grace: the token is used up", a, 401)
	a, _ = b.poll("u1", access, renewed)
	b.want("always: the renewed token", a, 200)
}
