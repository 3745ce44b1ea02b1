package emulator

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestSettingsErrors(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	for doc, want := range map[string]string{
		`{"login":{"fault":"dwon"}}`:                              `login.fault: "dwon" is none of down, throttle, deny, html, truncated, empty, line_break, endless, drop`,
		`{"login":{"falt":"down"}}`:                               `json: unknown field "falt"`,
		`{"logins":{}}`:                                           `json: unknown field "logins"`,
		`{"login":{"fault":"down","for":5}}`:                      `duration 5: write it like "30s" or "1m30s"`,
		`{"ttl":"5"}`:                                             `duration "5": write it like "30s" or "1m30s"`,
		`{"token_size":"5"}`:                                      `token_size: a string does not fit here`,
		`{"huawei-aicc":{"quotes":1}}`:                            `huawei-aicc.quotes: a number does not fit here`,
		`{"ttl":"1ms"}`:                                           `ttl: 1ms is too short; the vendors count in seconds, give 1s or more`,
		`{"api":{"status":99}}`:                                   `api.status: 99 is not a status from 200 to 599`,
		`{"api":{"delay":"-1s"}}`:                                 `api: times and counts cannot be negative`,
		`{"api":{"only":"wechat"}}`:                               `api.only: "wechat" is none of huawei-aicc`,
		`{"login":{"only":"user"}}`:                               `login.only: "user" is none of access, messaging`,
		`{"token_size":-1}`:                                       `token_size: -1 is not between 0 and 65536`,
		`{"lifetime":"long"}`:                                     `lifetime: long is none of missing, zero, negative, past, huge, string, number`,
		`{"openim":{"version":"v4"}}`:                             `openim.version: v4 is none of v2.3, v3.5, v3.7, v3.8, v3.8.3, main`,
		`{"openim":{"kick_policy":2}}`:                            `openim.kick_policy: 2 is none of 0, 1, 4`,
		`{"content_type":"a\r\nb"}`:                               `content_type: contains a line break`,
		`{"do":[{"action":"break"}]}`:                             `action: break is none of rotate, expire, kick`,
		`{"do":[{"action":"kick","kind":"x"}],"same_token":true}`: `kind: "x" is none of access, messaging`,
		`{"do":[{"action":"kick","grace":"1s"}]}`:                 `action kick: only rotate has a grace`,
		`{"do":[{"action":"kick","limit":-1}]}`:                   `action kick: limit and grace cannot be negative`,
		`{} {}`:                                                   `there is more after the JSON value`,
		``:                                                        `EOF`,
	} {
		before := b.Settings()
		_, err := b.Apply([]byte(doc))
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", doc, err, want)
		}
		if !reflect.DeepEqual(before, b.Settings()) {
			t.Errorf("%s: changed something", doc)
		}
	}
}

func TestControl(t *testing.T) {
	b := start(t, HuaweiAICC, Options{})
	access := b.aiccAccess()
	u1, u2 := b.aiccMessaging(access, "u1"), b.aiccMessaging(access, "u2")
	const faults = "/_emulator/faults"
	a := b.ask("POST "+faults, `{"ttl":"5s","login":{"fault":"down","for":"1m"},"huawei-aicc":{"grace":"2s"},"do":[{"action":"kick","kind":"messaging","owner":"u1"}]}`)
	b.want("post", a, 200, "ended=1", "settings.ttl=5s", "settings.login.fault=down", "settings.huawei-aicc.grace=2s", "settings.huawei-aicc.renew=expired")
	b.want("only what was named changed", b.ask("POST "+faults, `{"same_token":true}`), 200, "settings.ttl=5s", "settings.login.fault=down", "settings.same_token=true")
	b.want("a trouble is replaced as a whole", b.ask("POST "+faults, `{"login":{"delay":"1ms"}}`), 200, "settings.login.fault=-", "settings.login.until=-", "settings.login.delay=1ms")
	a, _ = b.poll("u1", access, u1)
	b.want("the kicked user", a, 401)
	a, _ = b.poll("u2", access, u2)
	b.want("the other user", a, 200)
	b.want("get", b.ask("GET "+faults, ""), 200, "ttl=5s")
	b.want("delete", b.ask("DELETE "+faults, ""), 200, "settings.ttl=0s", "settings.same_token=false", "settings.huawei-aicc.grace=30s")
	b.want("mistake", b.ask("POST "+faults, `{"x":1}`), 400, `error=json: unknown field "x"`)
	b.want("too much", b.ask("POST "+faults, strings.Repeat(" ", maxBody+1)), 400)
	b.want("method", b.ask("PUT "+faults, `{}`), 405)
	b.want("path", b.ask("GET /_emulator/x", ``), 404)
	a = b.ask("GET /_emulator/stats", "")
	b.want("stats", a, 200, "vendor=huawei-aicc", "logins.access=1", "logins.messaging=2", "actions.kick=1", "ended.kick=1",
		"calls.huawei-aicc=2", "accepted.huawei-aicc=1", "refused.kicked=1", "live.messaging=1")
	w := httptest.NewRecorder()
	b.Control().ServeHTTP(w, httptest.NewRequest("GET", "/_emulator/", nil))
	if text := w.Body.String(); !strings.Contains(text, "recipe: huawei-aicc\n") || !strings.Contains(text, "http://example.com/_emulator/stats") {
		t.Errorf("hints: %s", text)
	}
}
