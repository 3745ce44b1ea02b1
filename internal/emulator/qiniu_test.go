package emulator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const (
	qiniuApp  = "app_id: " + QiniuAppID
	qiniuJSON = "Content-Type: application/json"
)

func (b *bench) qiniuToken(user int64) string {
	b.t.Helper()
	a := b.ask("POST /token/id", fmt.Sprintf(`{"user_id":%d,"password":"%s"}`, user, QiniuPassword), qiniuApp, qiniuJSON)
	token := a.get("data.token")
	if token == "" {
		b.t.Fatalf("login: %s", a.body)
	}
	return token
}

func TestQiniuLogin(t *testing.T) {
	const pw = `"password":"` + QiniuPassword + `"`
	for _, tc := range []struct {
		name, request, body string
		headers             []string
		status              int
		want                []string
	}{
		{"id", "POST /token/id", `{"user_id":2302128618880,` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=200", "data.user_id=2302128618880", "data.push_token=-", "data.expire=1700086400000", "message="}},
		{"largest id", "POST /token/id", `{"user_id":9223372036854775807,` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=200"}},
		{"login", "POST /token/login", `{"login_name":"` + QiniuLoginName + `",` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=200", "data.user_id=2302128618880"}},
		{"user", "POST /token/user", `{"name":"alice",` + pw + `}`, []string{qiniuApp, qiniuJSON + "; charset=utf-8"}, 200, []string{"code=200", "data.user_id=2302128618880"}},
		{"id as text", "POST /token/id", `{"user_id":"2302128618880",` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10002"}},
		{"id as float", "POST /token/id", `{"user_id":2.302e12,` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10002"}},
		{"id absent", "POST /token/id", `{` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10002"}},
		{"name as number", "POST /token/user", `{"name":1,` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10002"}},
		{"password absent", "POST /token/user", `{"name":"alice"}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10002"}},
		{"no JSON", "POST /token/user", `name=alice`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10002"}},
		{"no content type", "POST /token/user", `{"name":"alice",` + pw + `}`, []string{qiniuApp}, 200, []string{"code=10002"}},
		{"wrong password", "POST /token/user", `{"name":"alice","password":"x"}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10000", "data="}},
		{"unknown user", "POST /token/user", `{"name":"nobody1",` + pw + `}`, []string{qiniuApp, qiniuJSON}, 200, []string{"code=10000"}},
		{"no app_id", "POST /token/user", `{}`, []string{qiniuJSON}, 200, []string{"code=40000"}},
		{"wrong app_id", "POST /token/user", `{}`, []string{"app_id: x", qiniuJSON}, 200, []string{"code=40000"}},
		{"method", "GET /token/user", ``, []string{qiniuApp, qiniuJSON}, 405, nil},
		{"unknown login", "POST /token/phone", `{}`, []string{qiniuApp, qiniuJSON}, 404, nil},
		{"unknown path", "GET /", ``, []string{qiniuApp}, 404, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, QiniuIM, Options{})
			b.want(tc.name, b.ask(tc.request, tc.body, tc.headers...), tc.status, tc.want...)
		})
	}
}

func TestQiniuSwitches(t *testing.T) {
	const body = `{"user_id":2302128618880,"password":"` + QiniuPassword + `","device_guid":"d"}`
	b := start(t, QiniuIM, Options{TTL: 90 * time.Second})
	a := b.ask("POST /token/id", body, qiniuApp, qiniuJSON)
	if strings.Count(a.get("data.token"), ".") != 2 || a.get("data.push_token") == "" || a.get("data.expire") != "1700000090000" {
		t.Errorf("want a JWT, a push_token and expire in ms: %s", a.body)
	}
	if gjson.Get(a.body, "data.user_id").Type != gjson.Number {
		t.Errorf("user_id is no number: %s", a.body)
	}
	b.set(func(s *Settings) {
		s.Qiniu = QiniuSettings{Seconds: true, Opaque: true, WrongPassword: 402}
		s.TokenSize = 5000
	})
	a = b.ask("POST /token/id", body, qiniuApp, qiniuJSON)
	if token := a.get("data.token"); strings.Contains(token, ".") || len(token) != 5000 || a.get("data.expire") != "1700000090" {
		t.Errorf("want an opaque token of 5000 bytes and expire in s: %s", a.body)
	}
	b.want("wrong password", b.ask("POST /token/id", `{"user_id":1,"password":""}`, qiniuApp, qiniuJSON), 200, "code=402")
	b.set(func(s *Settings) { s.Qiniu.Opaque = false })
	if token := b.qiniuToken(7); len(token) < 5000 {
		t.Errorf("a JWT of %d bytes, want 5000 or more", len(token))
	}
}

func TestQiniuCalls(t *testing.T) {
	b := start(t, QiniuIM, Options{TTL: time.Minute})
	const call = "POST /message/send"
	user := "access-token: " + b.qiniuToken(7)
	admin := "access-token: " + QiniuAdminToken()
	b.want("user", b.ask(call, "{}", qiniuApp, user), 200, "code=200", "data.user_id=7", "data.acting_user_id=", "data.path=/message/send")
	b.want("admin", b.ask(call, "{}", qiniuApp, admin), 200, "code=200", "data.user_id=20")
	b.want("admin as a user of a group", b.ask(call, "{}", qiniuApp, admin, "user_id: 2302128618880", "group_id: 5"), 200,
		"code=200", "data.acting_user_id=2302128618880", "data.acting_group_id=5")
	b.want("user as another", b.ask(call, "{}", qiniuApp, user, "user_id: 8"), 200, "code=10010", "data=")
	b.want("user as group admin", b.ask(call, "{}", qiniuApp, user, "group_id: 8"), 200, "code=10010")
	b.want("bad user_id", b.ask(call, "{}", qiniuApp, admin, "user_id: x"), 200, "code=10002")
	b.want("no token", b.ask(call, "{}", qiniuApp), 200, "code=10003")
	b.want("unknown token", b.ask(call, "{}", qiniuApp, "access-token: x"), 200, "code=10008")
	b.want("no app_id", b.ask(call, "{}", user), 200, "code=40000")
	b.want("query for other calls", b.ask(call+"?app_id="+QiniuAppID+"&"+strings.Replace(user, ": ", "=", 1), ""), 200, "code=40000")
	b.want("token in the query of other calls", b.ask(call+"?"+strings.Replace(user, ": ", "=", 1), "", qiniuApp), 200, "code=10003")
	b.want("query for files", b.ask("GET /file/download?app_id="+QiniuAppID+"&"+strings.Replace(user, ": ", "=", 1), ""), 200, "code=200")
	b.want("registration needs no token", b.ask("POST /user/register/v2", "{}", qiniuApp), 200, "code=200")

	second := "access-token: " + b.qiniuToken(7)
	b.want("the first token after a second login", b.ask(call, "{}", qiniuApp, user), 200, "code=200")
	if n := b.act(Action{Do: Rotate, Owner: "7", Limit: 1}); n != 1 {
		t.Errorf("rotate ended %d, want 1", n)
	}
	b.want("rotated, the newest", b.ask(call, "{}", qiniuApp, second), 200, "code=10008")
	b.advance(time.Minute)
	b.want("expired", b.ask(call, "{}", qiniuApp, user), 200, "code=402")
	b.set(func(s *Settings) { s.HTTP401 = true })
	b.want("expired as 401", b.ask(call, "{}", qiniuApp, user), 401, "code=402")
	b.set(func(s *Settings) { s.API.Fault = FaultDeny })
	b.want("no permission", b.ask(call, "{}", qiniuApp, admin), 200, "code=10010")
}
