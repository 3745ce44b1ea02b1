package emulator

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const opID = "operationID: 1"

func (b *bench) version(v OpenIMVersion) *bench {
	b.set(func(s *Settings) { s.OpenIM.Version = v })
	return b
}

// openIMAdmin returns the token header of a new admin token.
func (b *bench) openIMAdmin() string {
	b.t.Helper()
	a := b.ask("POST /auth/get_admin_token", `{"secret":"openIM123","userID":"imAdmin"}`, opID)
	if a.get("data.token") == "" {
		b.t.Fatalf("get_admin_token: %s", a.body)
	}
	return "token: " + a.get("data.token")
}

// openIMUser returns the token header of a new user token, by the login that
// the version has.
func (b *bench) openIMUser(user string, platform int) string {
	b.t.Helper()
	var a answer
	if b.Settings().OpenIM.Version.traits().userToken {
		a = b.ask("POST /auth/user_token", fmt.Sprintf(`{"secret":"openIM123","platformID":%d,"userID":"%s"}`, platform, user), opID)
	} else {
		a = b.ask("POST /auth/get_user_token", fmt.Sprintf(`{"platformID":%d,"userID":"%s"}`, platform, user), opID, b.openIMAdmin())
	}
	if a.get("data.token") == "" {
		b.t.Fatalf("login: %s", a.body)
	}
	return "token: " + a.get("data.token")
}

// code calls the API and returns errCode.
func (b *bench) code(token string) string {
	b.t.Helper()
	return b.ask("POST /user/get_users_info", "{}", opID, token).get("errCode")
}

func TestOpenIMEndpoints(t *testing.T) {
	for v, want := range map[OpenIMVersion][3]bool{ // user_token, get_user_token, get_admin_token
		OpenIM35: {true, false, false}, OpenIM37: {true, true, false},
		OpenIM38: {false, true, true}, OpenIM383: {false, true, true}, OpenIMMain: {false, true, true},
	} {
		b := start(t, OpenIM, Options{}).version(v)
		for i, path := range []string{"user_token", "get_user_token", "get_admin_token"} {
			a := b.ask("POST /auth/"+path, `{"secret":"openIM123","platformID":1,"userID":"imAdmin"}`, opID)
			if got := a.status != 404; got != want[i] {
				t.Errorf("%s: %s has status %d", v, path, a.status)
			}
		}
	}
}

func TestOpenIMLogin(t *testing.T) {
	const ok = `{"secret":"openIM123","platformID":1,"userID":"user_001"}`
	for _, tc := range []struct {
		name          string
		version       OpenIMVersion
		request, body string
		headers       []string
		want          []string
	}{
		{"user_token", OpenIM37, "POST /auth/user_token", ok, []string{opID}, []string{"errCode=0", "errMsg=", "data.expireTimeSeconds=7776000"}},
		{"no operationID", OpenIM37, "POST /auth/user_token", ok, nil, []string{"errCode=1001", "errMsg=ArgsError", "errDlt=header must have operationID", "data=-"}},
		{"wrong secret", OpenIM37, "POST /auth/user_token", `{"secret":"x","platformID":1,"userID":"u"}`, []string{opID}, []string{"errCode=1002", "data=-"}},
		{"unknown user", OpenIM37, "POST /auth/user_token", `{"secret":"openIM123","platformID":1,"userID":"nobody"}`, []string{opID}, []string{"errCode=1004"}},
		{"no platform", OpenIM37, "POST /auth/user_token", `{"secret":"openIM123","userID":"u"}`, []string{opID}, []string{"errCode=1001"}},
		{"platform as text", OpenIM37, "POST /auth/user_token", `{"secret":"openIM123","platformID":"1","userID":"u"}`, []string{opID}, []string{"errCode=1001"}},
		{"admin by user_token", OpenIM35, "POST /auth/user_token", `{"secret":"openIM123","platformID":10,"userID":"imAdmin"}`, []string{opID}, []string{"errCode=0"}},
		{"get_admin_token", OpenIMMain, "POST /auth/get_admin_token", `{"secret":"openIM123","userID":"imAdmin"}`, []string{opID}, []string{"errCode=0", "data.expireTimeSeconds=7776000"}},
		{"not an admin", OpenIMMain, "POST /auth/get_admin_token", `{"secret":"openIM123","userID":"u"}`, []string{opID}, []string{"errCode=1001"}},
		{"get_user_token without token", OpenIMMain, "POST /auth/get_user_token", ok, []string{opID}, []string{"errCode=1001", "errDlt=header must have token"}},
		{"get_user_token with a bad token", OpenIMMain, "POST /auth/get_user_token", ok, []string{opID, "token: x"}, []string{"errCode=1503"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, OpenIM, Options{}).version(tc.version)
			b.want(tc.name, b.ask(tc.request, tc.body, tc.headers...), 200, tc.want...)
		})
	}
	b := start(t, OpenIM, Options{}).version(OpenIMMain)
	admin, user := b.openIMAdmin(), b.openIMUser("u", 1)
	for body, want := range map[string]string{
		`{"platformID":10,"userID":"u"}`:      "1002",
		`{"platformID":1,"userID":"imAdmin"}`: "1002",
		`{"platformID":1,"userID":"nobody"}`:  "1004",
		`{"platformID":12,"userID":"u"}`:      "1001",
		`{"platformID":2,"userID":"u"}`:       "0",
	} {
		b.want(body, b.ask("POST /auth/get_user_token", body, opID, admin), 200, "errCode="+want)
	}
	b.want("user's token", b.ask("POST /auth/get_user_token", `{"platformID":2,"userID":"u"}`, opID, user), 200, "errCode=1002")
}

func TestOpenIMJWT(t *testing.T) {
	b := start(t, OpenIM, Options{}).version(OpenIMMain)
	seen := map[string]bool{}
	for range 3 { // within one second
		token := strings.TrimPrefix(b.openIMUser("u1", 2), "token: ")
		if seen[token] {
			t.Error("two logins got the same token")
		}
		seen[token] = true
		parts := strings.Split(token, ".")
		claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
		c := gjson.ParseBytes(claims)
		if c.Get("UserID").String() != "u1" || c.Get("PlatformID").Int() != 2 || c.Get("exp").Int() != 1707776000 || c.Get("nbf").Exists() {
			t.Errorf("claims %s", claims)
		}
		if string(hs256(OpenIMSecret, parts[0]+"."+parts[1])) != string(mustBase64(t, parts[2])) {
			t.Error("the signature is wrong")
		}
	}
}

func mustBase64(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOpenIMCalls(t *testing.T) {
	b := start(t, OpenIM, Options{})
	token := b.openIMUser("u1", 5)
	const call = "POST /msg/send_msg"
	b.want("good", b.ask(call, "{}", opID, token), 200, "errCode=0", "data.userID=u1", "data.platformID=5")
	b.want("no operationID", b.ask(call, "{}", token), 200, "errCode=1001", "errDlt=header must have operationID")
	b.want("no token", b.ask(call, "{}", opID), 200, "errCode=1001", "errDlt=header must have token")
	b.want("GET is not checked", b.ask("GET /msg/x", ""), 200, "errCode=0")
	b.want("unknown path", b.ask("POST /auth/x", "{}", opID, token), 404)
	if a := b.ask(call, "{}", opID, token); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type %q", a.header.Get("Content-Type"))
	}
}

// TestOpenIMTokenErrors has one row for every way in which a token can be bad.
func TestOpenIMTokenErrors(t *testing.T) {
	jwt := func(exp, nbf int64) string {
		return "token: " + signHS256(OpenIMSecret, fmt.Sprintf(`{"UserID":"u1","PlatformID":1,"exp":%d,"nbf":%d,"iat":1}`, exp, nbf))
	}
	for _, tc := range []struct {
		name  string
		token func(b *bench) string
		want  map[OpenIMVersion]string // others: the one of main
	}{
		{"no JWT", func(*bench) string { return "token: abc" }, map[OpenIMVersion]string{OpenIM35: "1505", OpenIMMain: "1503"}},
		{"bad base64", func(*bench) string { return "token: a.b.!" }, map[OpenIMVersion]string{OpenIM35: "1505", OpenIMMain: "1503"}},
		{"other signature", func(*bench) string { return "token: " + signHS256("x", `{"exp":2000000000}`) }, map[OpenIMVersion]string{OpenIMMain: "1505"}},
		{"not yet valid", func(*bench) string { return jwt(2e9, 1.9e9) }, map[OpenIMVersion]string{OpenIM35: "1505", OpenIMMain: "1504"}},
		{"self-made, expired", func(*bench) string { return jwt(1e9, 0) }, map[OpenIMVersion]string{OpenIM35: "1505", OpenIMMain: "1501"}},
		{"self-made", func(*bench) string { return jwt(2e9, 0) }, map[OpenIMVersion]string{OpenIMMain: "1507"}},
		{"expired", func(b *bench) string {
			token := b.openIMUser("u1", 1)
			b.advance(90 * 24 * time.Hour)
			return token
		}, map[OpenIMVersion]string{OpenIM35: "1505", OpenIMMain: "1501"}},
		{"expired by action", func(b *bench) string {
			token := b.openIMUser("u1", 1)
			b.act(Action{Do: Expire})
			return token
		}, map[OpenIMVersion]string{OpenIM35: "1505", OpenIMMain: "1501"}},
		{"kicked", func(b *bench) string {
			token := b.openIMUser("u1", 1)
			b.act(Action{Do: Kick, Owner: "u1"})
			return token
		}, map[OpenIMVersion]string{OpenIMMain: "1506"}},
		{"rotated", func(b *bench) string {
			token := b.openIMUser("u1", 1)
			b.act(Action{Do: Rotate})
			return token
		}, map[OpenIMVersion]string{OpenIMMain: "1507"}},
	} {
		for _, v := range []OpenIMVersion{OpenIM35, OpenIM37, OpenIM38, OpenIM383, OpenIMMain} {
			b := start(t, OpenIM, Options{}).version(v)
			want := tc.want[v]
			if want == "" {
				want = tc.want[OpenIMMain]
			}
			if got := b.code(tc.token(b)); got != want {
				t.Errorf("%s, %s: errCode %s, want %s", v, tc.name, got, want)
			}
		}
	}
}

func TestOpenIMKicksAtIssue(t *testing.T) {
	for _, tc := range []struct {
		version OpenIMVersion
		policy  int
		// The first token's code after a login on the same platform (iOS), on
		// one of the same class (Android), and on the web.
		want [3]string
	}{
		{OpenIM35, 1, [3]string{"0", "0", "0"}},
		{OpenIM37, 1, [3]string{"0", "0", "0"}},
		{OpenIM38, 1, [3]string{"1506", "0", "0"}},
		{OpenIM383, 1, [3]string{"1506", "0", "0"}},
		{OpenIMMain, 1, [3]string{"1506", "0", "0"}},
		{OpenIMMain, 4, [3]string{"1506", "1506", "0"}},
		{OpenIMMain, 0, [3]string{"0", "0", "0"}},
	} {
		for i, platform := range []int{1, 2, 5} {
			b := start(t, OpenIM, Options{}).version(tc.version)
			b.set(func(s *Settings) { s.OpenIM.KickPolicy = tc.policy })
			first := b.openIMUser("u1", 1)
			other := b.openIMUser("u2", 1)
			second := b.openIMUser("u1", platform)
			if got := b.code(first); got != tc.want[i] {
				t.Errorf("%s, policy %d, platform %d: errCode %s, want %s", tc.version, tc.policy, platform, got, tc.want[i])
			}
			if b.code(second) != "0" || b.code(other) != "0" {
				t.Errorf("%s: the new token or another user's is bad", tc.version)
			}
		}
	}
	b := start(t, OpenIM, Options{}).version(OpenIMMain)
	b.set(func(s *Settings) { s.OpenIM.KickPolicy = 0 })
	first, second := b.openIMUser("u1", 1), b.openIMUser("u1", 1)
	for range openIMKept - 1 {
		b.openIMUser("u1", 1)
	}
	if b.code(first) != "1506" || b.code(second) != "0" {
		t.Errorf("after 31 logins: %s and %s, want the oldest kicked only", b.code(first), b.code(second))
	}
}

func TestOpenIMAdminTokens(t *testing.T) {
	self := "token: " + signHS256(OpenIMSecret, `{"UserID":"imAdmin","PlatformID":10,"exp":2000000000,"iat":1}`)
	for _, tc := range []struct {
		version                           OpenIMVersion
		second, later, kicked, fromNobody string // codes of the first admin token
	}{
		{OpenIM38, "0", "0", "1506", "1507"},
		{OpenIM383, "0", "0", "0", "0"},
		{OpenIMMain, "0", "1507", "1506", "1507"},
	} {
		b := start(t, OpenIM, Options{}).version(tc.version)
		first := b.openIMAdmin()
		b.openIMAdmin()
		if got := b.code(first); got != tc.second {
			t.Errorf("%s after a second login: %s, want %s", tc.version, got, tc.second)
		}
		b.advance(5 * time.Minute)
		if got := b.code(first); got != tc.later {
			t.Errorf("%s five minutes after it: %s, want %s", tc.version, got, tc.later)
		}
		third := b.openIMAdmin()
		b.act(Action{Do: Kick, Kind: "admin"})
		if got := b.code(third); got != tc.kicked {
			t.Errorf("%s kicked: %s, want %s", tc.version, got, tc.kicked)
		}
		if got := b.code(self); got != tc.fromNobody {
			t.Errorf("%s self-made: %s, want %s", tc.version, got, tc.fromNobody)
		}
	}
}

func TestOpenIMParseAndLogout(t *testing.T) {
	b := start(t, OpenIM, Options{}).version(OpenIM38)
	user := b.openIMUser("u1", 2)
	parse := `{"token":"` + strings.TrimPrefix(user, "token: ") + `"}`
	b.want("parse", b.ask("POST /auth/parse_token", parse, opID), 200,
		"errCode=0", "data.userID=u1", "data.platformID=2", "data.expireTimeSeconds=1707776000")
	b.want("logout by a user", b.ask("POST /auth/force_logout", `{"platformID":2,"userID":"u1"}`, opID, user), 200, "errCode=1002")
	b.want("logout elsewhere", b.ask("POST /auth/force_logout", `{"platformID":1,"userID":"u1"}`, opID, b.openIMAdmin()), 200, "errCode=0")
	if got := b.code(user); got != "0" {
		t.Errorf("after a logout of another platform: %s, want 0", got)
	}
	b.want("logout", b.ask("POST /auth/force_logout", `{"platformID":2,"userID":"u1"}`, opID, b.openIMAdmin()), 200, "errCode=0")
	if got := b.code(user); got != "1506" {
		t.Errorf("after the logout: %s, want 1506", got)
	}
	b.want("parse a kicked token", b.ask("POST /auth/parse_token", parse, opID), 200, "errCode=1506", "data=-")
	// v3.5 hides the reason from calls, not from parse_token.
	b.version(OpenIM35)
	b.want("parse no token", b.ask("POST /auth/parse_token", `{"token":"abc"}`, opID), 200, "errCode=1503")
}

func TestOpenIMGzipAndCodes(t *testing.T) {
	b := start(t, OpenIM, Options{})
	a := b.ask("POST /x/y", "{}", opID, "token: abc", "Accept-Encoding: br, gzip;q=0.5")
	if a.header.Get("Content-Encoding") != "gzip" || gunzip(t, a.body) != `{"errCode":1503,"errMsg":"TokenMalformedError","errDlt":"jwt parse error, token=abc"}` {
		t.Errorf("header %v, body %q", a.header, a.body)
	}
	for _, accept := range []string{"br", "gzip;q=0", "gzip; q=0"} {
		if a := b.ask("POST /x/y", "{}", opID, "token: abc", "Accept-Encoding: "+accept); a.header.Get("Content-Encoding") != "" {
			t.Errorf("compressed for Accept-Encoding %q", accept)
		}
	}
	for code, name := range map[int]string{1501: "TokenExpiredError", 1502: "TokenInvalidError", 1504: "TokenNotValidYetError", 1507: "TokenNotExistError"} {
		b.set(func(s *Settings) { s.OpenIM.RefusalCode = code })
		b.want("refusal code", b.ask("POST /x/y", "{}", opID, "token: abc"), 200, fmt.Sprintf("errCode=%d", code), "errMsg="+name)
	}
}

func TestOpenIMv23(t *testing.T) {
	b := start(t, OpenIM, Options{TTL: time.Minute}).version(OpenIM23)
	const login = "POST /auth/user_token"
	b.want("operationID in the header", b.ask(login, `{"secret":"openIM123","platform":1,"userID":"u"}`, opID), 400, "errCode=400")
	b.want("wrong secret", b.ask(login, `{"secret":"x","platform":1,"userID":"u","operationID":"1"}`), 400, "errCode=401")
	b.want("platformID", b.ask(login, `{"secret":"openIM123","platformID":1,"userID":"u","operationID":"1"}`), 400, "errCode=400")
	a := b.ask(login, `{"secret":"openIM123","platform":1,"userID":"u","operationID":"1"}`)
	b.want("ok", a, 200, "errCode=0", "data.userID=u", "data.expiredTime=1700000060")
	token := a.get("data.token")
	b.want("call", b.ask("POST /user/x", `{"operationID":"2"}`, "token: "+token), 200, "errCode=0", "data.userID=u")
	b.want("bad token", b.ask("POST /user/x", `{"operationID":"2"}`, "token: abc"), 400, "errCode=500", "errMsg=2 GetUserIDFromToken failed malformed token:abc")
	b.advance(time.Minute)
	b.want("expired", b.ask("POST /user/x", `{"operationID":"2"}`, "token: "+token), 400, "errCode=500")
	b.want("no parse_token", b.ask("POST /auth/parse_token", `{"operationID":"2"}`), 404)
}
