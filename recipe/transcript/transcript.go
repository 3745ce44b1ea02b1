// Package transcript runs recipes against transcripts: a request as it must be
// sent, the vendor's answers, and what must follow from each. Nothing is sent
// anywhere, and nothing depends on clock or chance.
//
// A transcript is a txtar file. The comment at its top, before the first file,
// is a YAML map:
//
//	recipe: openim/user              # the recipe's name, or its file; may be left out where it is known
//	token: user                      # makes it the transcript of a login of that token;
//	                                 # without it, it is one of a call of the API
//	now: 2024-05-01T12:00:00Z        # the wall clock; this is the default
//	with:                            # the credential's parameters, as in the configuration:
//	  endpoint: https://im.example.com   # a text, or {header: NAME[, decode: percent]}, {query: NAME}
//	  user_id: {header: X-User-Id}
//	  platform: {credential: corp}       # another credential's token, whose value parents or tokens have as corp
//	refresh: {at: 0.5}               # overrides, as in the configuration
//	params: {user_id: u1}            # logins only: values of parameters that come from the request
//	parents: {admin: ADMIN-TOKEN}    # logins only: the values of the tokens that the login needs
//	previous:                        # logins only: the token before, which makes it the transcript of a refresh
//	  value: OLD-TOKEN
//	  outputs: {refresh_token: R1}
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
// If a refresh was refused for good and the login follows, there is a warning that
// says so, and
//
//	then: POST https://im.example.com/auth/get_user_token
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
// "request" and "want" may be left out altogether; [Result.After] has them, so
// that a transcript is begun with answers alone.
package transcript

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// Transcript is a file that was read. It is for one goroutine.
type Transcript struct {
	name    string
	rep     *yamldoc.Report // of Parse: values of the file note their mistakes there
	header  []byte          // the comment as it stands
	recipe  yamldoc.Value
	root    yamldoc.Value
	with    yamldoc.Value
	refresh yamldoc.Value
	token   string
	now     time.Time
	params  map[string]string
	parents map[string]refresher.Token
	before  *refresher.Token // the token before; nil: there is none
	tokens  map[string]refresher.Token
	allow   []exchange.Name
	gzip    bool

	client, request, bad *string // of a bad request, its only want; nil: not there
	pairs                []pair
}

// pair is an answer and what must follow from it; want is nil when that is not
// written yet.
type pair struct {
	answer string
	want   *string
}

// Parse reads the transcript in data, the content of the file of that name.
// Mistakes are noted in rep, and ok is false.
func Parse(rep *yamldoc.Report, name string, data []byte) (t *Transcript, ok bool) {
	before := rep.Len()
	for i, line := range bytes.Split(data, []byte("\n")) {
		if string(bytes.TrimSuffix(line, []byte("\r"))) == "-- --" { // which the parser does not survive
			rep.Add(yamldoc.Problem{File: name, Line: i + 1, Col: 1, Text: "there is no name between the dashes; want client, request, answer or want"})
			return nil, false
		}
	}
	ar := txtar.Parse(data)
	t = &Transcript{name: name, rep: rep, header: ar.Comment, now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC), params: map[string]string{}}
	root, _ := yamldoc.Parse(rep, name, ar.Comment)
	o := root.Object(Shape())
	t.root, t.recipe, t.with, t.refresh = root, o.Get("recipe"), o.Get("with"), o.Get("refresh")
	t.token, _ = o.Get("token").Text()
	if v := o.Get("now"); !v.IsZero() {
		text, _ := v.Text()
		var err error
		if t.now, err = time.Parse(time.RFC3339, text); err != nil {
			v.Errorf("want a time such as 2024-05-01T12:00:00Z")
		}
	}
	for _, e := range o.Get("params").Entries() {
		t.params[e.Name], _ = e.Value.Text()
	}
	t.parents = readTokens(o.Get("parents"))
	t.tokens = readTokens(o.Get("tokens"))
	if v := o.Get("previous"); !v.IsZero() {
		before := readToken(v)
		t.before = &before
	}
	t.allow = readNames(o.Get("allow"))
	t.gzip, _ = o.Bool("gzip")
	if why := t.files(ar.Files); why != "" {
		rep.Add(yamldoc.Problem{File: name, Line: 1, Col: 1, Text: why})
	}
	return t, rep.Len() == before
}

// files sorts the files of the archive; it returns what is wrong with them.
func (t *Transcript) files(files []txtar.File) (why string) {
	for _, f := range files {
		text := string(f.Data)
		n := len(t.pairs)
		switch f.Name {
		case "client":
			t.client = &text
		case "request":
			t.request = &text
		case "answer":
			t.pairs = append(t.pairs, pair{answer: text})
		case "want":
			switch {
			case n > 0 && t.pairs[n-1].want == nil:
				t.pairs[n-1].want = &text
			case n == 0 && t.bad == nil:
				t.bad = &text
			default:
				return "there is a want without an answer before it"
			}
		default:
			return fmt.Sprintf("-- %s -- is not known; want client, request, answer and want", f.Name)
		}
	}
	switch {
	case t.token == "" && t.client == nil:
		return "it is the transcript of a login or of a call: say token: NAME at the top, or what the client sends in -- client --"
	case t.token != "" && t.client != nil:
		return "a login has no client: leave out token, or -- client --"
	case t.token == "" && t.before != nil:
		return "previous is for logins: a call has its tokens in tokens"
	case t.token != "" && t.bad != nil:
		return "there is a want without an answer before it"
	}
	return ""
}

// Recipe returns the name of the recipe that the transcript says it is about, or
// of its file, which ends in .yaml; "" when it does not say.
func (t *Transcript) Recipe() string {
	name, _ := t.recipe.Text()
	return name
}

// bind makes the credential.
func (t *Transcript) bind(r *recipe.Recipe) (*recipe.Credential, error) {
	if name := t.Recipe(); name != "" && name != r.Name && !strings.HasSuffix(name, ".yaml") {
		return nil, yamldoc.Problems{t.recipe.Problem("the transcript is about another recipe than %s", r.Name)}
	}
	if t.root.IsZero() {
		return nil, t.mistakef("the transcript has no parameters at its top")
	}
	with, ok := readOrigins(t.rep, t.with)
	if !ok {
		return nil, t.rep.Err()
	}
	c, _ := recipe.Bind(t.rep, r, recipe.BindConfig{
		Name: credential, At: t.root, With: with, Refresh: t.refresh,
		Lookup: func(name string) *recipe.Credential { return otherCredential(name, with) },
	})
	return c, t.rep.Err()
}

// credential is the name of the credential that transcripts are about.
const credential = "test"

// readTokens reads a map from tokens to their values.
func readTokens(v yamldoc.Value) map[string]refresher.Token {
	tokens := map[string]refresher.Token{}
	for _, e := range v.Entries() {
		tokens[e.Name] = readToken(e.Value)
	}
	return tokens
}

// readToken reads a value, or {value: …, outputs: {…}}.
func readToken(v yamldoc.Value) refresher.Token {
	if !v.IsMap() {
		value, _ := v.Text()
		return refresher.Token{Value: secret.New(value)}
	}
	o := v.Object(tokenShape())
	value, _ := o.Get("value").Text()
	tok := refresher.Token{Value: secret.New(value), Outputs: map[string]secret.String{}}
	for _, out := range o.Get("outputs").Entries() {
		text, _ := out.Value.Text()
		tok.Outputs[out.Name] = secret.New(text)
	}
	return tok
}

func readNames(v yamldoc.Value) []exchange.Name {
	var names []exchange.Name
	for _, item := range v.List(false) {
		o := item.Object(allowShape())
		for _, in := range []exchange.Place{exchange.Header, exchange.Query, exchange.Cookie} {
			if text, ok := o.Get(in.String()).Text(); ok && text != "" {
				names = append(names, exchange.Name{In: in, Name: text})
			}
		}
	}
	return names
}

// write makes the file with these texts; what is nil is left out.
func (t *Transcript) write(request, bad *string, wants []string) []byte {
	ar := txtar.Archive{Comment: bytes.Clone(t.header)}
	add := func(name string, text *string) {
		if text != nil {
			ar.Files = append(ar.Files, txtar.File{Name: name, Data: []byte(*text)})
		}
	}
	add("client", t.client)
	add("request", request)
	add("want", bad)
	for i := range t.pairs {
		add("answer", &t.pairs[i].answer)
		if i < len(wants) {
			add("want", &wants[i])
		}
	}
	return txtar.Format(&ar)
}
