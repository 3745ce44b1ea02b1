package recipe

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// jsonAnswer is an ordinary answer of an API, of about that many bytes.
func jsonAnswer(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"errCode":0,"errMsg":"","errDlt":"","data":{"total":12,"users":[`)
	for i := 0; b.Len() < size-100; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"userID":"user%04d","nickname":"Anna \"the\" %d","faceURL":"https://example.com/faces/%d.png","createTime":%d,"rate":1.5e-3,"admin":false,"ex":null}`,
			i, i, i, 1700000000000+i)
	}
	b.WriteString(`]}}`)
	return []byte(b.String())
}

func BenchmarkJudgeJSON(b *testing.B) {
	const recipe = `
recipe: x
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject: [{header: token, value: "${a}"}]
refused: [{token: a, json: {errCode: [1501, 1502, 1503, 1504, 1505, 1506, 1507]}, not_path: "**/auth/parse_token"}]
`
	p := loadConfig(b, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	req, ans := exchange.Head{Method: "GET", Path: "/user/get_users_info", Header: http.Header{}}, answerHead(200, "application/json")
	b.Run("head", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if p.WantsBody(req, ans) != exchange.JSONBody {
				b.Fatal("wants no JSON")
			}
		}
	})
	for _, size := range []int{300, 1000, 10_000, 100_000} {
		body := jsonAnswer(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if v := p.Judge(req, ans, body); v.Refused != nil {
					b.Fatal(v)
				}
			}
		})
	}
}

const benchRecipe = `
recipe: x
params: {u: {}}
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject: [{header: Authorization, value: "Bearer ${a}"}]
refused: [{token: a, status: 401}, {token: a, status: 403, header: {X-Error: expired}}]
`

func BenchmarkJudgeStatus(b *testing.B) {
	p := loadConfig(b, benchRecipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	req, ans := exchange.Head{Method: "GET", Path: "/v1/x", Header: http.Header{}}, answerHead(200, "application/json")
	b.ReportAllocs()
	for b.Loop() {
		if p.WantsBody(req, ans) != exchange.NoBody {
			b.Fatal("wants a body")
		}
		if v := p.Judge(req, ans, nil); v.Refused != nil {
			b.Fatal(v)
		}
	}
}

func BenchmarkAppendFields(b *testing.B) {
	p := loadConfig(b, benchRecipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	value := secret.New(strings.Repeat("t", 200))
	for _, tt := range []struct {
		name  string
		token refresher.Token
	}{
		{"remembered", engineToken(b, refresher.Token{Value: value, ExpiresAt: time.Now().Add(time.Hour)})},
		{"joined", refresher.Token{Value: value}},
	} {
		tokens := []refresher.Token{tt.token}
		b.Run(tt.name, func(b *testing.B) {
			dst := make([]exchange.Field, 0, 4)
			b.ReportAllocs()
			for b.Loop() {
				if fields, err := p.AppendFields(dst, nil, tokens); err != nil || len(fields) != 1 {
					b.Fatal(fields, err)
				}
			}
		})
	}
}

func BenchmarkParams(b *testing.B) {
	const recipe = `
recipe: x
params: {u: {}}
tokens:
  a: {request: {url: "https://h/", json: {u: "${u}"}}, value: {json: t}, lifetime: 1h}
inject: [{header: Authorization, value: "Bearer ${a}"}]
`
	head := exchange.Head{Method: "GET", Path: "/", RawQuery: "page=3&user=anna17&size=20", Header: http.Header{"X-User-Id": {"anna17"}}}
	for _, tt := range []struct{ name, with string }{
		{"none", "{u: x}"},
		{"header", "{u: {header: X-User-Id}}"},
		{"query", "{u: {query: user}}"},
	} {
		p := loadConfig(b, recipe, "credentials: {c: {with: "+tt.with+"}}\nroute: {use: [c]}\n").plan
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Params(head); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
