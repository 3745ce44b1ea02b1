package recipe

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// The bounds of one login.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 10 * time.Minute
	defaultMaxBody = 1 << 20
	maxMaxBody     = 64 << 20
)

// requestDecl is the request of a login.
type requestDecl struct {
	method  string
	url     urlTemplate
	query   []entry
	headers []entry // names in canonical form
	basic   *basicDecl
	json    *jsonNode
	form    []entry
	text    *template
	timeout time.Duration
	maxBody int64
}

// entry is a named text; it is left out when it mentions a parameter without
// a value.
type entry struct {
	name string
	text template
}

type basicDecl struct {
	user, password template
	formEscape     bool // RFC 6749 section 2.3.1 wants both form-encoded first
}

func parseRequest(v yamldoc.Value, s *scope) requestDecl {
	o := v.Object(requestShape())
	r := requestDecl{timeout: defaultTimeout, maxBody: defaultMaxBody, method: http.MethodGet}
	if u := o.Require("url"); !u.IsZero() {
		r.url = parseURL(u, s)
	}
	r.query = parseEntries(o.Get("query"), s, nil)
	r.headers = parseEntries(o.Get("headers"), s, headerName)
	noteTwins(o.Get("headers"))
	r.basic = parseBasic(o.Get("basic"), s)
	if r.basic != nil && r.hasHeader("Authorization") {
		o.Get("basic").Errorf("basic sets the header Authorization, which headers sets too")
	}
	r.parseBody(o, s)
	if method, ok := o.OneOf("method"); ok {
		r.method = method
	}
	if o.Has("timeout") {
		r.timeout, _ = o.Duration("timeout")
	}
	if o.Has("max_body") {
		r.maxBody, _ = o.Size("max_body")
	}
	return r
}

// parseBody reads at most one of json, form and text. A request with a body is
// a POST unless it says otherwise.
func (r *requestDecl) parseBody(o yamldoc.Object, s *scope) {
	first := ""
	for _, kind := range []string{"json", "form", "text"} {
		if !o.Has(kind) {
			continue
		}
		if first != "" {
			o.Get(kind).Errorf("the request has a body already: %s", first)
			continue
		}
		first = kind
		r.method = http.MethodPost
		switch v := o.Get(kind); kind {
		case "json":
			r.json = parseJSONBody(v, s)
		case "form":
			r.form = parseEntries(v, s, nil)
			if r.form == nil {
				r.form = []entry{}
			}
		case "text":
			t, _ := parseBodyTemplate(v, s)
			r.text = &t
		}
	}
}

// parseEntries reads a map from names to texts or lists of texts.
func parseEntries(v yamldoc.Value, s *scope, name func(key yamldoc.Value, name string) string) []entry {
	var entries []entry
	for _, e := range v.Entries() {
		n := e.Name
		if strings.Contains(n, "${") {
			e.Key.Errorf("a name cannot hold ${}")
			continue
		}
		if name != nil {
			n = name(e.Key, n)
		}
		if e.Value.IsNull() {
			e.Value.Errorf("want a text, got nothing")
			continue
		}
		for _, item := range e.Value.List(true) {
			if t, ok := parseTemplate(item, s); ok {
				entries = append(entries, entry{n, t})
			}
		}
	}
	return entries
}

// headerName checks the name of a header that a login may set.
func headerName(key yamldoc.Value, name string) string {
	if !exchange.IsToken(name) {
		key.Errorf("%q is no header name", name)
		return name
	}
	canonical := http.CanonicalHeaderKey(name)
	if ownHeader(canonical) {
		key.Errorf("the header %s is attache's own to set", canonical)
	}
	return canonical
}

// noteTwins reports header names that differ in case alone.
func noteTwins(v yamldoc.Value) {
	seen := map[string]bool{}
	for _, e := range v.Entries() {
		name := http.CanonicalHeaderKey(e.Name)
		if seen[name] {
			e.Key.Errorf("the header %s stands twice; give a list to send several", name)
		}
		seen[name] = true
	}
}

func parseBasic(v yamldoc.Value, s *scope) *basicDecl {
	if v.IsZero() {
		return nil
	}
	o := v.Object(basicShape())
	b := &basicDecl{}
	b.user, _ = parseTemplate(o.Require("user"), s)
	b.password, _ = parseTemplate(o.Require("password"), s)
	escape, _ := o.OneOf("escape")
	b.formEscape = escape == "form"
	return b
}

func (r *requestDecl) hasHeader(name string) bool {
	for _, h := range r.headers {
		if h.name == name {
			return true
		}
	}
	return false
}

// templates calls f for every template of the request.
func (r *requestDecl) templates(f func(template)) {
	f(r.url.template)
	for _, list := range [][]entry{r.query, r.headers, r.form} {
		for _, e := range list {
			f(e.text)
		}
	}
	if r.basic != nil {
		f(r.basic.user)
		f(r.basic.password)
	}
	r.json.templates(f)
	if r.text != nil {
		f(*r.text)
	}
}

// build fills in the request. Errors never repeat a value.
func (r *requestDecl) build(ctx context.Context, v typedValues, userAgent string) (*http.Request, error) {
	address, err := r.url.render(v)
	if err != nil {
		return nil, err
	}
	if query := renderPairs(r.query, v, escapeQuery); query != "" {
		if strings.Contains(address, "?") {
			address += "&" + query
		} else {
			address += "?" + query
		}
	}
	body, contentType, err := r.body(v)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		// The error of net/url quotes the address, which may hold secrets.
		return nil, errors.New("the parameters make no valid url")
	}
	// A login is sent once: without GetBody net/http cannot send the body again
	// on another connection.
	req.GetBody = nil
	if body == nil {
		req.Body, req.ContentLength = nil, 0
	}
	h := req.Header
	h.Set("Accept", "application/json, */*;q=0.5")
	// Set here so that it never depends on the transport; see readBody.
	h.Set("Accept-Encoding", "gzip")
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if userAgent != "" {
		h.Set("User-Agent", userAgent)
	}
	if err := r.fillHeaders(h, v); err != nil {
		return nil, err
	}
	return req, nil
}

func (r *requestDecl) fillHeaders(h http.Header, v values) error {
	set := map[string]bool{}
	for _, e := range r.headers {
		text, ok := e.text.render(v, verbatim)
		if !ok {
			continue
		}
		if why := badInHeader(text); why != "" {
			return fmt.Errorf("header %s: its value %s", e.name, why)
		}
		if !set[e.name] { // the recipe's replaces the default
			h.Del(e.name)
			set[e.name] = true
		}
		h.Add(e.name, text)
	}
	if r.basic == nil {
		return nil
	}
	user, ok1 := r.basic.user.render(v, verbatim)
	password, ok2 := r.basic.password.render(v, verbatim)
	if ok1 && ok2 {
		if !r.basic.formEscape && strings.Contains(user, ":") { // RFC 7617 section 2
			return errors.New("basic: the user contains a colon, which ends a user name")
		}
		h.Set("Authorization", "Basic "+r.basic.encode(user, password))
	}
	return nil
}

func (b *basicDecl) encode(user, password string) string {
	if b.formEscape {
		user, password = url.QueryEscape(user), url.QueryEscape(password)
	}
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// body returns the body, nil for none, and its type.
func (r *requestDecl) body(v typedValues) (body []byte, contentType string, err error) {
	switch {
	case r.json != nil:
		out, ok := r.json.document([]byte{}, v)
		if !ok {
			return nil, "", errors.New("the whole json body is one parameter, which has no value")
		}
		return out, "application/json", nil
	case r.form != nil:
		return []byte(renderPairs(r.form, v, url.QueryEscape)), "application/x-www-form-urlencoded", nil
	case r.text != nil:
		text, ok := r.text.render(v, verbatim)
		if !ok {
			return nil, "", errors.New("the text body mentions a parameter that has no value")
		}
		return []byte(text), "text/plain; charset=utf-8", nil
	}
	return nil, "", nil
}

// renderPairs writes name=value&name=value in the order of the file.
func renderPairs(entries []entry, v values, escape func(string) string) string {
	var b strings.Builder
	for _, e := range entries {
		text, ok := e.text.render(v, verbatim)
		if !ok {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(e.name) + "=" + escape(text))
	}
	return b.String()
}

// badInHeader says why text cannot be the value of a header (RFC 9110 section
// 5.5), or "". It is the last defence against a parameter, or a token that a
// vendor sent, that would start a header of its own.
func badInHeader(text string) string {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= ' ' && c != 0x7f, c == '\t':
		case c == '\r' || c == '\n':
			return "contains a line break"
		default:
			return "contains a control character"
		}
	}
	return ""
}
