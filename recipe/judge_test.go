package recipe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"attache/internal/exchange"
	"attache/internal/secret"
)

func answerHead(status int, contentType string, header ...string) exchange.Head {
	h := http.Header{}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return exchange.Head{Status: status, Header: h}
}

func TestWantsBody(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
  b: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject:
  - {header: A, value: "${a}"}
  - {header: B, value: "${b}"}
refused:
  - {token: a, status: 401}
  - {token: a, status: [200, 401, 403], json: {code: 1}}
  - {token: b, status: 403, text: bad}
  - {token: b, path: "/v2/**", header: {X-Error: token}, json: {code: 1}}
`
	p := loadConfig(t, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	for _, tt := range []struct {
		method, path string
		ans          exchange.Head
		want         exchange.BodyWant
	}{
		{"GET", "/", answerHead(200, "application/json"), exchange.JSONBody},
		{"GET", "/", answerHead(200, "image/png"), exchange.JSONBody},
		{"GET", "/", answerHead(200, ""), exchange.JSONBody},
		{"GET", "/", answerHead(401, ""), exchange.NoBody}, // the first rule decides
		{"GET", "/", answerHead(403, ""), exchange.TextBody},
		{"GET", "/", answerHead(404, ""), exchange.NoBody},
		{"GET", "/v2/x", answerHead(404, "", "X-Error", "token"), exchange.JSONBody},
		{"GET", "/v2/x", answerHead(404, "", "X-Error", "other"), exchange.NoBody},
		{"HEAD", "/", answerHead(200, ""), exchange.NoBody},
		{"GET", "/", answerHead(206, ""), exchange.NoBody},
		{"GET", "/", answerHead(101, ""), exchange.NoBody},
		{"GET", "/", answerHead(200, "text/event-stream; charset=utf-8"), exchange.NoBody},
		{"GET", "/", answerHead(200, "Application/X-NDJSON"), exchange.NoBody},
		{"GET", "/", answerHead(200, "application/grpc+proto"), exchange.NoBody},
	} {
		if got := p.WantsBody(exchange.Head{Method: tt.method, Path: tt.path}, tt.ans); got != tt.want {
			t.Errorf("%s %s %d %v: %v, want %v", tt.method, tt.path, tt.ans.Status, tt.ans.Header, got, tt.want)
		}
	}
}

// TestUnseenBody: a body that was not looked at matches nothing, not even what
// an empty one would.
func TestUnseenBody(t *testing.T) {
	const recipe = "recipe: x\ntokens: {a: {request: {url: \"https://h/\"}, value: {json: t}, lifetime: 1h}}\n" +
		"inject: [{header: A, value: \"${a}\"}]\nrefused: [{token: a, text: /^$/}]\n"
	p := loadConfig(t, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	if v := p.Judge(exchange.Head{Path: "/"}, answerHead(200, ""), nil); v.Refused != nil {
		t.Errorf("refused: %v", v.Refused)
	}
	if v := p.Judge(exchange.Head{Path: "/"}, answerHead(200, ""), []byte{}); v.Refused == nil {
		t.Error("an empty body was not matched")
	}
}

func TestJudge(t *testing.T) {
	p := loadConfig(t, portalRecipe, portalConfig).plan
	refused := func(s exchange.Signal) exchange.Verdict {
		return exchange.Verdict{Refused: []exchange.Refusal{{Signal: s}}}
	}
	renewed := func(text string) exchange.Verdict {
		return exchange.Verdict{Renewed: []exchange.Renewal{{Value: secret.New(text), Lifetime: 30 * time.Minute}}}
	}
	for name, tt := range map[string]struct {
		path string
		ans  exchange.Head
		body string // "-": not looked at
		want exchange.Verdict
	}{
		"fine":                {"/", answerHead(200, ""), `{"code":0}`, exchange.Verdict{}},
		"status":              {"/", answerHead(401, ""), "-", refused(exchange.SignalStatus)},
		"body":                {"/", answerHead(200, ""), `{"code":"5"}`, refused(exchange.SignalBody)},
		"first value counts":  {"/", answerHead(200, ""), "\ufeff {\"code\":5}\n{\"code\":0}", refused(exchange.SignalBody)},
		"cut off":             {"/", answerHead(200, ""), `{"code":5,`, exchange.Verdict{}},
		"not JSON":            {"/", answerHead(200, ""), `code: 5`, exchange.Verdict{}},
		"not looked at":       {"/", answerHead(200, ""), "-", exchange.Verdict{}},
		"login path":          {"/login/x", answerHead(200, ""), `{"code":5}`, exchange.Verdict{}},
		"token not injected":  {"/", answerHead(403, ""), `app`, exchange.Verdict{}},
		"renewed by header":   {"/", answerHead(200, "", "X-Session", "N%3D"), "-", renewed("N%3D")},
		"renewed by cookie":   {"/", answerHead(200, "", "Set-Cookie", "sid=N; Path=/"), "-", renewed("N")},
		"first renewal":       {"/", answerHead(200, "", "X-Session", "H", "Set-Cookie", "sid=C"), "-", renewed("H")},
		"empty renewal":       {"/", answerHead(200, "", "X-Session", ""), "-", exchange.Verdict{}},
		"illegal renewal":     {"/", answerHead(200, "", "X-Session", "a\x00b"), "-", exchange.Verdict{}},
		"overlong renewal":    {"/", answerHead(200, "", "X-Session", strings.Repeat("x", maxValue+1)), "-", exchange.Verdict{}},
		"renewed and refused": {"/", answerHead(401, "", "X-Session", "N"), "-", exchange.Verdict{Refused: refused(0).Refused, Renewed: renewed("N").Renewed}},
	} {
		var body []byte
		if tt.body != "-" {
			body = []byte(tt.body)
		}
		got := p.Judge(exchange.Head{Method: "GET", Path: tt.path}, tt.ans, body)
		if d := cmp.Diff(tt.want, got, cmp.Comparer(secret.String.Equal)); d != "" {
			t.Errorf("%s, -want +got:\n%s", name, d)
		}
	}
}
