package recipe

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// Transcripts are what the tests know about a vendor: a request as it is sent,
// the vendor's answer and what must follow. They are txtar files in
// presets/testdata/<folder>/*.txtar; the folders only sort them. Those in
// testdata/recipes/<folder> are of recipes that are no presets and show what the
// language can say.
//
// The comment at the top of the file, before the first file, is a YAML map:
//
//	recipe: openim/user              # required: a preset, or the path of a recipe
//	token: user                      # makes it the transcript of a login of that token;
//	                                 # without it, it is one of a call of the API
//	now: 2024-05-01T12:00:00Z        # the wall clock; this is the default
//	with:                            # the credential's parameters, as in the configuration:
//	  endpoint: https://im.example.com   # a text, or {header: NAME[, decode: percent]}, {query: NAME}
//	  user_id: {header: X-User-Id}
//	refresh: {at: 0.5}               # overrides, as in the configuration
//	params: {user_id: u1}            # logins only: values of parameters that come from the request
//	parents: {admin: ADMIN-TOKEN}    # logins only: the values of the tokens that the login needs
//	tokens:                          # calls only: the tokens' values; with outputs:
//	  user: USER-TOKEN               #   user: {value: USER-TOKEN, outputs: {push: P}}
//	allow: [{header: user_id}]       # calls only: the route's allow
//	gzip: true                       # the answers are sent with Content-Encoding: gzip
//
// # Logins
//
//	-- request --
//	POST https://im.example.com/auth/get_user_token HTTP/1.1
//	Content-Type: application/json
//	Token: ADMIN-TOKEN
//
//	{"platformID":1,"userID":"u1"}
//	-- answer --
//	HTTP/1.1 200 OK
//	Content-Type: application/json
//
//	{"errCode":0,"data":{"token":"T","expireTimeSeconds":600}}
//	-- want --
//	value: T
//	lifetime: 10m0s
//
// "request" is exact: absolute URL, headers in canonical spelling, sorted; one
// newline at the end is not part of the body. Every random number is zero, so
// a uuid is 00000000-0000-4000-8000-000000000000; the user agent is
// attache/test. Any number of pairs of "answer" and "want" may follow, all of
// them answers to the same request. The lines of "want" for a login that
// succeeds, those that apply, in this order:
//
//	value: T
//	output.NAME: TEXT                # sorted by name
//	lifetime: 10m0s                  # or until_refused
//	warning: TEXT                    # one line each
//
// and for one that fails:
//
//	error: permanent                 # or throttled, transient
//	text: THE WHOLE ERROR TEXT
//	retry_after: 30s                 # when the vendor asked for it
//	refused: admin                   # parents that were refused
//
// # Calls of the API
//
//	-- client --
//	GET https://im.example.com/user/get?x=1 HTTP/1.1
//	X-User-Id: u1
//	Token: client's own
//	-- request --
//	GET https://im.example.com/user/get?x=1 HTTP/1.1
//	Token: USER-TOKEN
//	-- answer --
//	HTTP/1.1 200 OK
//
//	{"errCode":1501}
//	-- want --
//	looks: json
//	refused: user by body
//
// "client" is what the application sends, with the URL as it is upstream;
// "request" is what must go upstream, exact as above; pairs of "answer" and
// "want" follow as above. The lines of "want", those that apply, in this order:
//
//	looks: none                      # how much of the body is looked at: none, json, text
//	refused: TOKEN by status         # or by body
//	renewed: TOKEN = VALUE for 1h0m0s    # or: for ever
//	hide: header NAME                # names that are removed from every answer
//
// When the client's request is refused by itself, "request" is missing and the
// only "want" is:
//
//	bad request: header X-User-Id is missing
//
// go test ./recipe -run TestTranscripts -update writes "request" and "want" of
// all files anew; read the difference before believing it.

var update = flag.Bool("update", false, "write request and want of the transcripts anew")

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("presets/testdata/*/*.txtar")
	more, _ := filepath.Glob("testdata/recipes/*/*.txtar")
	if err != nil || len(files) == 0 || len(more) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	files = append(files, more...)
	for _, name := range files {
		t.Run(strings.TrimSuffix(name, ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			before := string(txtar.Format(ar))
			tr := readTranscript(t, name, ar)
			if tr.token != "" {
				tr.login(t)
			} else {
				tr.call(t)
			}
			if after := string(txtar.Format(ar)); after != before && *update {
				if err := os.WriteFile(name, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); d != "" {
				t.Errorf("%s (-the file +what happens):\n%s", name, d)
			}
		})
	}
}

// transcript is a file that was read. What happens is written back into ar.
type transcript struct {
	ar      *txtar.Archive
	token   string
	now     time.Time
	params  map[string]string
	parents map[string]refresher.Token
	tokens  map[string]refresher.Token
	allow   []exchange.Name
	gzip    bool
	cred    *Credential
}

func readTranscript(t *testing.T, name string, ar *txtar.Archive) *transcript {
	t.Helper()
	rep := &yamldoc.Report{}
	root, _ := yamldoc.Parse(rep, name, ar.Comment)
	o := root.Object("recipe", "token", "now", "with", "refresh", "params", "parents", "tokens", "allow", "gzip")
	tr := &transcript{ar: ar, now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC), params: map[string]string{}}
	tr.token, _ = o.Get("token").Text()
	if v := o.Get("now"); !v.IsZero() {
		text, _ := v.Text()
		var err error
		if tr.now, err = time.Parse(time.RFC3339, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range o.Get("params").Entries() {
		tr.params[e.Name], _ = e.Value.Text()
	}
	tr.parents = readTokens(o.Get("parents"))
	tr.tokens = readTokens(o.Get("tokens"))
	tr.allow = parseNames(o.Get("allow"))
	tr.gzip, _ = o.Get("gzip").Bool()
	r := readRecipe(t, rep, o.Require("recipe"))
	tr.cred, _ = Bind(rep, r, BindConfig{
		Name: "cred", At: root, With: readOrigins(o.Get("with")), Refresh: o.Get("refresh"),
	})
	if err := rep.Err(); err != nil {
		t.Fatal(err)
	}
	return tr
}

// readRecipe returns the preset of that name, or the recipe in the file.
func readRecipe(t *testing.T, rep *yamldoc.Report, v yamldoc.Value) *Recipe {
	t.Helper()
	name, _ := v.Text()
	if !strings.HasSuffix(name, ".yaml") {
		r, ok := Preset(name)
		if !ok {
			t.Fatalf("no usable preset %q: %v", name, presetProblems(name))
		}
		return r
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := Parse(rep, name, data)
	if !ok {
		t.Fatal(rep.Err())
	}
	return r
}

// presetProblems says why a preset cannot be read.
func presetProblems(name string) error {
	data, ok := PresetSource(name)
	if !ok {
		return errors.New("there is no such file")
	}
	rep := &yamldoc.Report{}
	parse(rep, name, data)
	return rep.Err()
}

func (tr *transcript) login(t *testing.T) {
	program := tr.cred.program(tr.token)
	if program == nil {
		t.Fatalf("no token %s", tr.token)
	}
	in := refresher.Input{}
	for _, p := range program.Params {
		text, ok := tr.params[p.Name]
		if !ok {
			t.Fatalf("params has no %s", p.Name)
		}
		in.Params = append(in.Params, text)
	}
	for _, p := range program.Parents {
		tok, ok := tr.parents[p.Token]
		if !ok {
			t.Fatalf("parents has no %s", p.Token)
		}
		in.Parents = append(in.Parents, tok)
	}
	tr.exchanges(t, func(answer string) string {
		rt := &canned{answer: tr.rawAnswer(answer)}
		var warnings []string
		src := program.Source(rt, "attache/test")
		src.Warn = func(text string) { warnings = append(warnings, text) }
		src.now = func() time.Time { return tr.now }
		src.random = zeros{}
		tok, err := src.Fetch(t.Context(), in)
		tr.set("request", rt.sent)
		if err != nil {
			return describeFailure(program, err)
		}
		return describeToken(tok, tr.now, warnings)
	})
}

func describeToken(tok refresher.Token, now time.Time, warnings []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "value: %s\n", tok.Value.Reveal())
	for _, name := range slices.Sorted(maps.Keys(tok.Outputs)) {
		fmt.Fprintf(&b, "output.%s: %s\n", name, tok.Outputs[name].Reveal())
	}
	life := "until_refused"
	if !tok.ExpiresAt.IsZero() {
		life = tok.ExpiresAt.Sub(now).String()
	}
	fmt.Fprintf(&b, "lifetime: %s\n", life)
	for _, w := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func describeFailure(program *TokenProgram, err error) string {
	fe, ok := errors.AsType[*refresher.FetchError](err)
	if !ok {
		return fmt.Sprintf("not a FetchError: %v\n", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\ntext: %v\n", fe.Class, err)
	if fe.RetryAfter > 0 {
		fmt.Fprintf(&b, "retry_after: %v\n", fe.RetryAfter)
	}
	for _, i := range fe.Refused {
		fmt.Fprintf(&b, "refused: %s\n", program.Parents[i].Token)
	}
	return b.String()
}

func (tr *transcript) call(t *testing.T) {
	rep := &yamldoc.Report{}
	plan, ok := NewPlan(rep, RouteConfig{Name: "route", Use: []*Credential{tr.cred}, Allow: tr.allow})
	if !ok {
		t.Fatal(rep.Err())
	}
	plan.now = func() time.Time { return tr.now }
	plan.random = zeros{}
	text, ok := tr.file("client")
	if !ok {
		t.Fatal("neither token: nor a file client")
	}
	req, body := parseRawRequest(t, text)
	params, err := plan.Params(requestHead(req))
	if err != nil {
		tr.set("want", "bad request: "+err.Error())
		return
	}
	if _, ok := tr.file("request"); !ok {
		t.Fatal("the client's request is good, and the transcript has no file request")
	}
	var tokens []refresher.Token
	for _, s := range plan.Slots() {
		tok, ok := tr.tokens[s.Token]
		if !ok {
			t.Fatalf("tokens has no %s", s.Token)
		}
		tokens = append(tokens, tok)
	}
	fields, err := plan.AppendFields(nil, params, tokens)
	if err != nil {
		t.Fatal(err)
	}
	stripNames(req, plan)
	head := requestHead(req)
	inject(req, fields)
	tr.set("request", rawRequest(req.Method, req.URL.String(), req.Header, body))
	tr.exchanges(t, func(answer string) string {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(tr.rawAnswer(answer))), nil)
		if err != nil {
			t.Fatal(err)
		}
		return describeVerdict(t, plan, head, resp)
	})
}

func describeVerdict(t *testing.T, plan *Plan, head exchange.Head, resp *http.Response) string {
	data, err := readBody(resp, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	ans := exchange.Head{Status: resp.StatusCode, Header: resp.Header}
	looks := plan.WantsBody(head, ans)
	if looks == exchange.NoBody || looks == exchange.JSONBody && !strings.HasPrefix(strings.TrimLeft(string(data), " \t\r\n["), "{") {
		data = nil
	}
	v := plan.Judge(head, ans, data)
	var b strings.Builder
	fmt.Fprintf(&b, "looks: %s\n", [...]string{"none", "json", "text"}[looks])
	for _, r := range v.Refused {
		fmt.Fprintf(&b, "refused: %s by %s\n", plan.Slots()[r.Slot].Token, r.Signal)
	}
	for _, r := range v.Renewed {
		life := "ever"
		if r.Lifetime > 0 {
			life = r.Lifetime.String()
		}
		fmt.Fprintf(&b, "renewed: %s = %s for %s\n", plan.Slots()[r.Slot].Token, r.Value.Reveal(), life)
	}
	for _, n := range plan.Hide() {
		fmt.Fprintf(&b, "hide: %s %s\n", n.In, n.Name)
	}
	return b.String()
}
