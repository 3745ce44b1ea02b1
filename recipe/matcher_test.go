package recipe

import (
	"net/http"
	"testing"

	"attache/internal/yamldoc"
)

func TestMatcher(t *testing.T) {
	for _, tt := range []struct {
		matcher, body string
		want          bool
	}{
		{`json: {code: 0}`, `{"code":0}`, true},
		{`json: {code: 0}`, `{"code":"0"}`, true},
		{`json: {code: "0"}`, `{"code":0}`, true},
		{`json: {code: 0}`, `{"code":0.0}`, true},
		{`json: {code: 200}`, `{"code":2e2}`, true},
		{`json: {code: 200.0}`, `{"code":"200"}`, true},
		{`json: {code: 0x10}`, `{"code":16}`, true},
		{`json: {code: 1.5}`, `{"code":1.50}`, true},
		{`json: {code: 0}`, `{"code":""}`, false},
		{`json: {code: 0}`, `{"code":false}`, false},
		{`json: {code: "007"}`, `{"code":7}`, false},
		{`json: {code: 7}`, `{"code":"007"}`, false},
		{`json: {id: 9007199254740993}`, `{"id":9007199254740993}`, true},
		{`json: {id: 9007199254740993}`, `{"id":9007199254740992}`, false},
		{`json: {id: 9007199254740993}`, `{"id":"9007199254740993"}`, true},
		{`json: {ok: true}`, `{"ok":true}`, true},
		{`json: {ok: "true"}`, `{"ok":true}`, true},
		{`json: {ok: true}`, `{"ok":1}`, false},
		{`json: {code: [1, 2]}`, `{"code":2}`, true},
		{`json: {code: [1, 2]}`, `{"code":3}`, false},
		{`json: {code: null}`, `{}`, true},
		{`json: {code: null}`, `{"code":null}`, true},
		{`json: {code: null}`, `{"code":0}`, false},
		{`json: {code: null}`, `<html>`, false}, // no JSON has no absent members
		{`json: {code: null}`, ``, false},
		{`json: {code: [0, null]}`, `{"code":null}`, true},
		{`json: {code: [0, null]}`, `{"code":1}`, false},
		{`json: {info: /illegal or expired/}`, `{"info":"auth fail! illegal or expired token"}`, true},
		{`json: {info: /^illegal/}`, `{"info":"auth fail! illegal"}`, false},
		{`json: {code: /^15\d\d$/}`, `{"code":1501}`, true},
		{`json: {"errors.0.code": X}`, `{"errors":[{"code":"X"}]}`, true},
		{`json: {"#.errorCode": INVALID}`, `[{"errorCode":"OTHER"},{"errorCode":"INVALID"}]`, true},
		{`json: {"#.errorCode": INVALID}`, `[{"errorCode":"OTHER"}]`, false},
		{`json: {tags: b}`, `{"tags":["a","b"]}`, true},
		{`json: {tags: null}`, `{"tags":[]}`, false},
		{`json: {tags: b}`, `{"tags":[["b"]]}`, false},
		{`json: {code: /./}`, `{"code":{"a":1}}`, false},
		{`json: {code: 88, sub: ["40014", "42001"]}`, `{"code":88,"sub":"40014"}`, true},
		{`json: {code: 88, sub: ["40014", "42001"]}`, `{"code":88,"sub":"60011"}`, false},
		{`json: {code: 0}`, `{"code":0`, false},
		{`text: expired`, `the token expired`, true},
		{`text: [gone, expired]`, `the token expired`, true},
		{`text: /^token/`, `the token`, false},
		{`status: 403`, ``, true},
		{`status: [401, 4xx]`, ``, true},
		{`status: 4XX`, ``, true},
		{`status: [200, 5xx]`, ``, false},
		{`header: {x-error: [a, token]}`, ``, true},
		{`header: {X-Error: /^tok/}`, ``, true},
		{`header: {X-Error: tok}`, ``, false},
		{`header: {X-Error: null}`, ``, false},
		{`header: {X-Other: null}`, ``, true},
		{`{status: 403, path: /a/*/c}`, ``, true},
		{`{status: 403, path: /a/*}`, ``, false},
		{`{status: 403, path: /a/**}`, ``, true},
		{`{status: 403, path: ["/x", "**/c"]}`, ``, true},
		{`{status: 403, path: /a.b/c}`, ``, false},
		{`{status: 403, not_path: /a/**}`, ``, false},
		{`{status: 403, path: /a/**, not_path: ["/x", "**/d"]}`, ``, true},
		{`{status: 403, json: {a: 1}, text: b}`, `{"a":1,"x":"b"}`, true},
		{`{status: 403, json: {a: 1}, text: c}`, `{"a":1,"x":"b"}`, false},
	} {
		rep := &yamldoc.Report{}
		root, _ := yamldoc.Parse(rep, "f", []byte(tt.matcher))
		m := parseMatcher(root.Object(matcherShape()), &Recipe{})
		if err := rep.Err(); err != nil {
			t.Fatal(err)
		}
		a := &answer{path: "/a/b%2Fx/c", status: 403, header: http.Header{"X-Error": {"other", "token"}}, body: []byte(tt.body)}
		if got := m.match(a); got != tt.want {
			t.Errorf("%s of %s: %v, want %v", tt.matcher, tt.body, got, tt.want)
		}
	}
}
