package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"attache/internal/exchange"
	"attache/refresher"
)

// wirePlans are plans that inject in every place and manner. The values are
// found nowhere else, so that they can be looked for in answers.
func wirePlans() []*testPlan {
	inject := func(p *testPlan, fields ...exchange.Field) *testPlan {
		for _, f := range fields {
			n := exchange.Name{In: f.In, Name: f.Name}
			if p.strip = append(p.strip, n); f.IfAbsent {
				p.keepOne = append(p.keepOne, n)
			}
			p.query = p.query || f.In == exchange.Query
		}
		p.fields = func(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) []exchange.Field {
			return append(dst, fields...)
		}
		return p
	}
	bearer := exchange.Field{In: exchange.Header, Name: "Authorization", Value: "Bearer injected-1"}
	token := exchange.Field{In: exchange.Header, Name: "access-token", Value: "injected-2"}
	query := exchange.Field{In: exchange.Query, Name: "access_token", Value: "injected%2F3"}
	cookie := exchange.Field{In: exchange.Cookie, Name: "sid", Value: "injected-4"}
	maybe := func(f exchange.Field) exchange.Field {
		f.IfAbsent = true
		return f
	}
	bodies := inject(&testPlan{bodies: true, strip: []exchange.Name{header("user_id")}},
		token, query, cookie, exchange.Field{In: exchange.Header, Name: "Idempotency-Key", Value: "injected-5"})
	bodies.wants = func(_, _ exchange.Head) exchange.BodyWant { return exchange.JSONBody }
	return []*testPlan{
		inject(&testPlan{strip: []exchange.Name{header("user_id")}}, bearer, token),
		inject(&testPlan{}, token, query),
		inject(&testPlan{}, cookie, bearer),
		inject(&testPlan{}, maybe(exchange.Field{In: exchange.Header, Name: "operationID", Value: "injected-6"}), maybe(query), maybe(cookie)),
		bodies,
	}
}

// checkInjection fails the test unless the upstream of plan sees every injected
// name once, with the right value, in any server's reading, and no name that is
// stripped. client are the requests that may have led to r.
func checkInjection(t *testing.T, plan *testPlan, r *strictRequest, client []*http.Request) {
	t.Helper()
	fields := plan.fields(nil, nil, nil)
	for i := range fields {
		f := &fields[i]
		var got []string
		switch f.In {
		case exchange.Header:
			got = r.get(r.fields, f.Name)
		case exchange.Query:
			got = queryValues(r.target, f.Name)
		case exchange.Cookie:
			got = cookieValues(r, f.Name)
		}
		right := len(got) == 1 && (got[0] == f.Value || f.IfAbsent && slices.ContainsFunc(client, func(c *http.Request) bool {
			return gaveOne(c, f, got[0])
		}))
		if !right {
			t.Errorf("%s %s reaches the upstream as %q", f.In, f.Name, got)
		}
	}
	for _, n := range plan.strip {
		injected := slices.ContainsFunc(fields, func(f exchange.Field) bool { return f.In == n.In && f.Name == n.Name })
		if n.In == exchange.Header && !injected && len(r.get(r.fields, n.Name)) > 0 {
			t.Errorf("the stripped header %s reaches the upstream", n.Name)
		}
		trailer := n.Name
		if n.In == exchange.Cookie {
			trailer = "Cookie"
		}
		if got := r.get(r.trailers, trailer); n.In != exchange.Query && len(got) > 0 {
			t.Errorf("the trailer %s reaches the upstream: %q", trailer, got)
		}
	}
}

// gaveOne reports whether a client gave exactly this value where one is taken.
func gaveOne(c *http.Request, f *exchange.Field, value string) bool {
	switch f.In {
	case exchange.Header:
		got := c.Header.Values(f.Name)
		return len(got) == 1 && got[0] == value
	case exchange.Query:
		return strings.Count("&"+c.URL.RawQuery, "&"+f.Name+"="+value) == 1
	}
	return strings.Count(strings.Join(c.Header["Cookie"], ";"), f.Name) >= 1 && value != ""
}

// queryValues are the values that some server takes for those of name: whatever
// the case, percent-encoding and separator, and as an item of a list.
func queryValues(target, name string) []string {
	_, query, _ := strings.Cut(target, "?")
	var values []string
	for piece := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, value, _ := strings.Cut(piece, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if key, _, _ = strings.Cut(key, "["); strings.ToLower(key) == name {
			values = append(values, value)
		}
	}
	return values
}

// cookieValues are the values that some server takes for those of the cookie.
func cookieValues(r *strictRequest, name string) []string {
	var values []string
	for piece := range strings.FieldsFuncSeq(strings.Join(r.get(r.fields, "Cookie"), ";"), func(r rune) bool { return r == ';' || r == ',' }) {
		key, value, _ := strings.Cut(piece, "=")
		if strings.EqualFold(strings.TrimFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }), name) {
			values = append(values, value)
		}
	}
	return values
}

// checkRequests fails the test if the upstream sees anything that is no request
// of the client's, or more of them.
func checkRequests(t *testing.T, f forwarded, client []*http.Request) {
	t.Helper()
	if f.broken != nil {
		t.Error(f.broken)
	}
	if len(f.requests) > len(client) {
		t.Errorf("%d requests became %d", len(client), len(f.requests))
	}
	next := 0
	for _, r := range f.requests {
		if !r.whole {
			continue
		}
		i := slices.IndexFunc(client[min(next, len(client)):], func(c *http.Request) bool {
			text, err := io.ReadAll(c.Body)
			c.Body = io.NopCloser(bytes.NewReader(text))
			return err == nil && c.Method == r.method && bytes.Equal(text, r.body)
		})
		if i < 0 {
			t.Errorf("%s %s with the body %q is no request of the client", r.method, r.target, r.body)
			return
		}
		next += i + 1
	}
	if i := strings.Index(f.answers, "injected"); i >= 0 {
		t.Errorf("an injected value is in the answer: %.80q", f.answers[i:])
	}
}

// FuzzInjection: whatever bytes a client writes on its connection, the upstream
// gets no more requests than the client made, each of them in a form that has
// one reading alone, and in each exactly one value of every injected name.
func FuzzInjection(f *testing.F) {
	plans := wirePlans()
	for _, seed := range injectionSeeds() {
		for i := range plans {
			f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r\n")), uint8(i))
		}
	}
	wires := make([]*wire, len(plans))
	for i := range plans {
		wires[i] = newWire(f, plans[i])
	}
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		client := accepted(in)
		// Longer ones say nothing new. A server waits for half a second before
		// it gives up a long body, which would only make this slow.
		if len(in) > 3000 || slices.ContainsFunc(client, func(r *http.Request) bool { return r.ContentLength > 64<<10 }) {
			return
		}
		i := int(which) % len(plans)
		got := wires[i].send(t, in)
		checkRequests(t, got, client)
		for _, r := range got.requests {
			checkInjection(t, plans[i], r, client)
		}
		if t.Failed() {
			t.Logf("plan %d, the client writes:\n%q", i, in)
		}
	})
}

// FuzzInjectionHTTP2 does the same for requests in the shape that HTTP/2 gives
// them: pseudo-headers apart, several Cookie fields, and names and values that
// HTTP/1.1 could not carry.
func FuzzInjectionHTTP2(f *testing.F) {
	plans := wirePlans()
	for i := range plans {
		for _, seed := range []struct{ method, target, host, fields, body string }{
			{"GET", "/x?a=1", "localhost", "accept: */*", ""},
			{"POST", "/x", "evil.example", "access_token: evil\naccess.token: evil\ncontent-type: application/grpc\nte: trailers", "body"},
			{"GET", "/x?%61ccess_token=evil", "", "cookie: a=1\ncookie: sid=evil\ncookie: b=2; SID=evil", ""},
			{"PUT", "//evil.example/x", "up.example:80", "connection: access-token, cookie\nauthorization: evil\nproxy-authorization: evil", "GET / HTTP/1.1\r\n\r\n"},
			{"GET", "http://evil.example/", "evil.example", "host: evil.example\nx-forwarded-host: evil.example", ""},
			{"POST", "/x", "localhost", "~cookie: sid=evil\n~access_token: evil\n~authorization: evil\n~x-sum: 1", "body"},
			{"CONNECT", "", "evil.example:443", ":protocol: websocket", ""},
			{"OPTIONS", "*", "localhost", "content-length: 5\ntransfer-encoding: chunked", ""},
			{"GET", "/x y\r\nX: y", "localhost", "operationid: one\noperationid: two\nupgrade: websocket\nconnection: upgrade", ""},
			{"DELETE", "/x?access_token=mine", "localhost", "operationid: mine\ncookie: sid=mine\nuser-id: 7\nidempotency_key: evil\nexpect: 100-continue", "x"},
		} {
			f.Add(seed.method, seed.target, seed.host, seed.fields, seed.body, uint8(i))
		}
	}
	wires := make([]*wire, len(plans))
	for i := range plans {
		wires[i] = newWire(f, plans[i])
	}
	f.Fuzz(func(t *testing.T, method, target, host, fields, body string, which uint8) {
		r := http2Request(method, target, host, fields, body)
		if len(fields) > 3000 || r == nil {
			return
		}
		i := int(which) % len(plans)
		answer := httptest.NewRecorder()
		wires[i].handler.ServeHTTP(answer, r)
		got := wires[i].collect(t)
		got.answers = fmt.Sprint(answer.Header()) + answer.Body.String()
		r.Body = io.NopCloser(strings.NewReader(body))
		checkRequests(t, got, []*http.Request{r})
		for _, sent := range got.requests {
			checkInjection(t, plans[i], sent, []*http.Request{r})
		}
		if len(got.requests) == 0 && answer.Code < 400 && answer.Header().Get("Grpc-Status") == "" {
			t.Errorf("status %d without a request", answer.Code)
		}
	})
}

// http2Request builds what a server makes of HTTP/2's fields, "name: value" in
// lines, and its checks of them alone. The body's last fields, after a name that
// begins with "~", are trailers. It returns nil for what no server lets through.
func http2Request(method, target, host, fields, body string) *http.Request {
	if !strictToken(method) || target == "" {
		return nil
	}
	r := &http.Request{
		Method: method, Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}, Host: host, RequestURI: target,
		URL: &url.URL{}, Body: http.NoBody,
	}
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL = u
	}
	for line := range strings.SplitSeq(fields, "\n") {
		name, value, ok := strings.Cut(line, ": ")
		name, trailer := strings.CutPrefix(name, "~")
		if !ok || !strictToken(name) || strings.ToLower(name) != name || strings.ContainsFunc(value, isControl) {
			continue
		}
		if trailer && body != "" {
			if r.Trailer == nil {
				r.Trailer = http.Header{}
			}
			r.Trailer.Add(name, value)
			continue
		}
		r.Header.Add(name, value)
	}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
		if r.Trailer == nil {
			r.ContentLength = int64(len(body))
		}
	}
	return r
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// TestInjectionSeedsReachTheUpstream: a fuzz target whose requests are all
// refused, or lost on the way, would find nothing.
func TestInjectionSeedsReachTheUpstream(t *testing.T) {
	w := newWire(t, wirePlans()[0])
	made, got := 0, 0
	for _, seed := range injectionSeeds() {
		in := []byte(strings.ReplaceAll(seed, "\n", "\r\n"))
		made += len(accepted(in))
		got += len(w.send(t, in).requests)
	}
	t.Logf("%d of %d requests reach the upstream", got, made)
	if got < 30 {
		t.Errorf("only %d of %d requests reach the upstream", got, made)
	}
}
