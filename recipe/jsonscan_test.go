package recipe

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"attache/internal/exchange"
)

// scanPaths are what the differential tests ask for: members, items, one path
// that leads through another, names that look like numbers, names that need
// escapes, and paths that are left to gjson.
func scanPaths() []string {
	return []string{"a", "a.b", "a.b.c", "a.0", "0", "b.1.a", "\u00e9", "errors", "a.#", "a.01", `a\.b`, "a*", "b", "errors.0", "a.b.d", "-1"}
}

// scanTests are what the differential tests compare members with.
func scanTests(t testing.TB) []test {
	c := loadConfig(t, `
recipe: x
tokens: {a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}}
inject: [{header: A, value: "${a}"}]
refused:
  - {token: a, json: {a: 1}}
  - {token: a, json: {a: [0, -0.0, null]}}
  - {token: a, json: {a: "1"}}
  - {token: a, json: {a: true}}
  - {token: a, json: {a: ["", x, 1e2, 12345678901234567890, 1.5]}}
  - {token: a, json: {a: /^1/}}
  - {token: a, json: {a: [/x|false/, "\u00e9", "\"", "/"]}}
  - {token: a, json: {a: ["\uFFFD", "\U0001F600"]}}
  - {token: a, json: {a: ["9223372036854775808", "-0"]}}
`, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n")
	var tests []test
	for i := range c.plan.refused[0] {
		tests = append(tests, c.plan.refused[0][i].matcher.json[0].want)
	}
	return tests
}

// compareScan compares the one pass with what it is to find: what gjson says of
// a whole document that it has checked.
func compareScan(t *testing.T, tests []test, body []byte) {
	t.Helper()
	all := scanPaths()
	for _, paths := range [][]string{all, {"a.b.c"}, {"errors", "a"}, {"b.1.a", "0", "a.0"}} {
		fast := &answer{body: body, members: jsonMembers{paths: newJSONPaths(paths)}}
		slow := &answer{body: body}
		for _, path := range paths {
			got, gotOK := fast.member(path)
			want, wantOK := slow.member(path)
			if gotOK != wantOK || got.Type != want.Type || got.Raw != want.Raw || got.Str != want.Str || got.Num != want.Num && want.Num == want.Num {
				t.Fatalf("%.300q: %s of %q is %v %+v, want %v %+v", body, path, paths, gotOK, got, wantOK, want)
			}
			for i := range tests {
				m := memberTest{path, tests[i]}
				if got, want := m.holds(fast), wantOK && tests[i].matchJSON(want); got != want {
					t.Fatalf("%.300q: %s is %s: %v, want %v", body, path, tests[i], got, want)
				}
			}
		}
	}
}

// scanBodies are bodies of every kind that the two might take differently.
func scanBodies() []string {
	deep := func(n int, inner string) string {
		return strings.Repeat(`{"a":`, n) + inner + strings.Repeat("}", n)
	}
	return []string{
		``, ` `, `{`, `[`, `{}`, `[]`, ` {} `, "\xef\xbb\xbf {\"a\":1}", " \xef\xbb\xbf{\"a\":1}", `{"a":1} tail`, `{"a":1}}`,
		// which one of several counts
		`{"a":1,"a":2}`, `{"a":null,"a":2}`, `{"a":1,"a":{"b":2}}`, `{"a":{"x":1},"a":{"b":2},"a":{"b":3}}`, `{"a":{"b":{"c":null}},"a":{"b":{"c":1}}}`,
		`{"a":{"b":1},"a":{"b":{"c":2}}}`, `{"a":{"b":{},"b":{"c":2,"d":3}}}`, `[1,{"b":1}]`, `{"a":[{"b":1},2],"0":1}`, `{"b":[0,{"a":1}]}`, `{"b":[0,[{"a":1}]]}`,
		`{"b":{"1":{"a":1}}}`, `[[1],2]`, `[null]`, `{"a":[[1],[]]}`, `{"a":[]}`, `{"a":{}}`, `{"-1":1}`, `[5]`,
		// numbers
		`{"a":0}`, `{"a":-0}`, `{"a":-0.0}`, `{"a":1.0}`, `{"a":1e0}`, `{"a":1E+2}`, `{"a":100.0e0}`, `{"a":12345678901234567890}`, `{"a":123456789012345678}`,
		`{"a":1234567890123456789}`, `{"a":9223372036854775807}`, `{"a":9223372036854775808}`, `{"a":1e400}`, `{"a":-1e-400}`, `{"a":1.50}`, `{"a":[1.0,null,"1"]}`,
		`{"a":01}`, `{"a":+1}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1e+}`, `{"a":-}`, `{"a":0x1}`, `{"a":1_0}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":1`, `{"a":-`, `{"a":1e`,
		// texts and names
		`{"a":""}`, `{"a":"1"}`, `{"a":"\u0031"}`, `{"\u0061":1}`, `{"\u00e9":"\u00e9"}`, "{\"\u00e9\":\"\u00e9\"}", `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, `{"a":"\ud83dx"}`,
		`{"a":"\ud83d\u0031"}`, `{"a":"\ude00"}`, `{"a":"\"\\\/\b\f\n\r\t"}`, `{"a":"\/"}`, `{"a":"\""}`, `{"a\"":1,"a":2}`, `{"a\\":1,"a":2}`, `{"a":"\\","b":1}`, `{"a":"\\\"","b":1}`,
		`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u123g"}`, `{"a":"\`, `{"a":"\u`, `{"a":"`, "{\"a\":\"\x00\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xc3\"}",
		"{\"a\":\"a long text with a control character\x01\"}", "{\"\xff\":1,\"a\":2}", `{"a":"x\u0000y"}`, `{"a.b":1}`, `{"a":"{\"b\":1}"}`, `{"":1,"a":{"":2}}`,
		`{"aa":1,"ab":2}`, `{"a*":1}`, `{"a":"12345678"}`, `{"a":"1234567"}`, `{"a":"1234567\"9"}`,
		// what is not valid
		`{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`, `{"a":1]`, `[1}`, `{"a":[1}]`, `{"a":tru}`, `{"a":truex}`, `{"a":True}`,
		`{"a":nul}`, `{"a":falsee}`, `{"a":1}x`, `{"a":1/**/}`, "{\"a\":\v1}", "{\"a\":1,\"b\":\xa0}", `{"a":1,"b":tru}`, `{"a":1,"b":{"c":[1,{]}}`, `{"a":"x""b":1}`, `{"a":1,"a"`,
		// no objects
		`1`, `"a"`, `"x{\"a\":1}"`, `"{a}"`, `null`, `true`, `<html>`, `a`, `"a" `, ` 12 `, `12 {"a":1}`, `null{"a":1}`, `"x[1]"`, `"\u007b"`,
		// white space
		"{ \"a\"\t:\r\n1 , \"b\" : [ 0 , { \"a\" : 2 } ] }", "[ ]", "{ }", "{\"a\":[ ]}", "{\"a\":[ 1 , \"x\" ]}", "{\"a\" :1}", `{"errors":["x",null]}`, `{"errors":[["x"],{"x":1}]}`, `{"errors":[[null]]}`,
		deep(511, "{}"), deep(512, "1"), deep(512, "{}"), deep(513, "1"), `{"b":` + deep(511, "1") + `}`, `{"b":` + deep(512, "1") + `,"a":1}`,
		strings.Repeat("[", 513) + strings.Repeat("]", 513), strings.Repeat("[", 512) + strings.Repeat("]", 512), strings.Repeat("[", 100_000),
		`{"x":"` + strings.Repeat("x", 100_000) + `","a":{"b":{"c":"x"}}}`, `{"` + strings.Repeat("k", 100_000) + `":1,"a":1` + strings.Repeat("0", 10_000) + `}`,
	}
}

func TestScan(t *testing.T) {
	tests := scanTests(t)
	for _, body := range scanBodies() {
		compareScan(t, tests, []byte(body))
	}
	// Cut anywhere, and with any byte in place of another.
	const whole = `{"e":"\u00e9\\","a":{"b":[1,-2.5e+3,true,null],"c":"x\"y"},"errors":["\/",{}]}`
	for i := range len(whole) {
		compareScan(t, tests, []byte(whole[:i]))
		for c := range 256 {
			compareScan(t, tests, []byte(whole[:i]+string([]byte{byte(c)})+whole[i+1:]))
		}
	}
}

func FuzzScan(f *testing.F) {
	const most = 8 << 10 // what is longer is slow to compare and tells no more
	for _, body := range scanBodies() {
		if len(body) <= most {
			f.Add([]byte(body))
		}
	}
	f.Add(jsonAnswer(500))
	tests := scanTests(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) <= most {
			compareScan(t, tests, body)
		}
	})
}

func TestPathsInOnePass(t *testing.T) {
	p := newJSONPaths(scanPaths())
	want := []string{"a", "a.b", "a.b.c", "a.0", "0", "b.1.a", "\u00e9", "errors"}
	if !slices.Equal(p.paths, want) {
		t.Errorf("%q, want %q", p.paths, want)
	}
	for _, path := range []string{"", ".", "a.", "..a", "a|b", "a.@this", "@this", "!1", "[a,b]", "{a}", "#", "a.#.b", "a.#(b=1).c", "a?", `\a`, "00", "1234567890"} {
		if p := newJSONPaths([]string{path}); p != nil {
			t.Errorf("%q is taken for a path of names and numbers", path)
		}
	}
}

// TestJudgeWithoutCopies: the bodies of ordinary answers are not copied, and what
// a rule does not look at is not decoded.
func TestJudgeWithoutCopies(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject: [{header: token, value: "${a}"}]
refused:
  - {token: a, json: {errCode: [1501, 1502]}, not_path: "**/auth/parse_token"}
  - {token: a, json: {errMsg: [/expired/, "bad token"], data.users.0.userID: nobody}}
  - {token: a, json: {data.total: [null, true, 1.5]}}
renewed: [{token: a, json: data.token, lifetime: 1h}]
`
	p := loadConfig(t, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	req, ans := exchange.Head{Method: "GET", Path: "/v1/x", Header: http.Header{}}, answerHead(200, "application/json")
	for _, body := range [][]byte{jsonAnswer(1000), []byte(`{"errCode":1,"data":{"total":2,"x":"\u00e9"}}`), []byte(`{"data":{"total":2`)} {
		n := testing.AllocsPerRun(100, func() {
			if p.WantsBody(req, ans) != exchange.JSONBody {
				t.Fatal("wants no JSON")
			}
			if v := p.Judge(req, ans, body); v.Refused != nil || v.Renewed != nil {
				t.Fatal(v)
			}
		})
		if n != 0 {
			t.Errorf("%.60s: %v allocations", body, n)
		}
	}
	body := []byte(`{"data":{"token":"new\u0021"},"errCode":1502.0}`)
	v := p.Judge(req, ans, body)
	clear(body)
	if len(v.Refused) != 1 || len(v.Renewed) != 1 || v.Renewed[0].Value.Reveal() != "new!" {
		t.Errorf("%+v", v)
	}
}
