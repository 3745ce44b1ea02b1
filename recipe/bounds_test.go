package recipe

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"attache/internal/yamldoc"
	"attache/refresher"
)

// repeat makes n lines of a format that takes the number of the line, and that of
// the next one.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i, i+1)
	}
	return b.String()
}

// TestHostileRecipes: recipes that double something in each of their lines are
// refused, instead of being worked out.
func TestHostileRecipes(t *testing.T) {
	const token = "tokens: {a: {static: x}}\n"
	for text, want := range map[string]string{
		"params:\n" + repeat(50000, "  k%[1]d: {}\n") + token:                                                              "params: has 50000 parameters; a recipe has at most 100",
		"tokens:\n  t0: {static: x}\n" + repeat(8000, "  t%[2]d: {static: '${t%[1]d}'}\n"):                                 "tokens: has 8001 tokens; a recipe has at most 16",
		"tokens:\n  a:\n    static: x\n    let:\n" + repeat(5000, "      l%[1]d: {now: unix}\n"):                           "let: has 5000 values; a recipe has at most 100",
		"params:\n  k0: {}\n" + repeat(60, "  k%[2]d: {default: '${k%[1]d}${k%[1]d}'}\n") + token:                          "default: the default has more than 65536 bytes, with those that it mentions",
		"params:\n  k0: {default: a}\n" + repeat(60, "  k%[2]d: {default: '${k%[1]d}${k%[1]d}'}\n") + token:                "default: the default has more than 65536 bytes, with those that it mentions",
		"params: {k: {}}\ntokens: {a: {static: '" + strings.Repeat("${k}", 200000) + "'}}\n":                               "static: the text mentions more than 200 names",
		"tokens:\n  a:\n    request:\n      url: https://h\n      json:\n" + repeat(20000, "        j%[1]d: ${k%[1]d}\n"):  "${k0} is not known",
		"tokens: {a: {static: " + strings.Repeat("[", 400000) + "}}\n":                                                     "not valid YAML",
		token + "refused: [{token: a, text: '/" + strings.Repeat("(a|", 5000) + "b" + strings.Repeat(")", 5000) + "/'}]\n": "not a regular expression",
		token + "refused: [{token: a, text: '/((a{100}){100}){100}/'}]\n":                                                  "not a regular expression",
		strings.Repeat("k", 500000) + ": 1\n" + token:                                                                      "not valid YAML",
		"x: &x [a, a]\ny: &y [*x, *x]\nz: [*y, *y]\n" + token:                                                              "YAML anchors are not supported",
	} {
		rep := &yamldoc.Report{}
		if _, ok := Parse(rep, "f", []byte("recipe: x\n"+text)); ok {
			t.Errorf("%.100q is accepted", text)
		} else if !strings.Contains(rep.Err().Error(), want) {
			t.Errorf("%.100q:\n%.300s\nwant %s", text, rep.Err(), want)
		}
	}
}

// TestHostileLet: values that grow with each line fail the login.
func TestHostileLet(t *testing.T) {
	for _, fn := range []string{"base64", "percent"} {
		recipe := "recipe: x\nparams: {k: {default: '%%%%'}}\ntokens:\n  access:\n    let:\n      l0: {base64: '${k}'}\n" +
			repeat(90, "      l%[2]d: {"+fn+": '${l%[1]d}/${l%[1]d}/'}\n") +
			"    request: {url: 'https://h/', json: {v: '${l90}'}}\n    value: {json: t}\n    lifetime: 1h\n"
		p := loadConfig(t, recipe, "credentials: {c: {with: {}}}").creds["c"].program("access")
		rt := roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.EOF })
		_, err := fixedSource(p, rt).Fetch(t.Context(), refresher.Input{})
		if err == nil || !strings.HasSuffix(err.Error(), ": the value has more than 65536 bytes") {
			t.Errorf("%s: %v", fn, err)
		}
	}
}
