package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
)

const (
	billingToken = "billing-token-canary-1"
	otherToken   = "other-token-canary-22"
)

// ask sends a request through the callers and returns the answer and the name
// that the handler behind them learned; "-" if it was not reached.
func ask(c *Callers, change func(*http.Request)) (w *httptest.ResponseRecorder, name string) {
	name = "-"
	h := c.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { name = CallerName(r.Context()) }))
	r := httptest.NewRequest("GET", "/", nil)
	change(r)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, name
}

func TestBearerCallers(t *testing.T) {
	c := NewCallers([]Caller{
		{Name: "billing", Bearer: secret.New(billingToken)},
		{Name: "other", Bearer: secret.New(otherToken)},
	}, nil)
	for _, tc := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"first", []string{"Bearer " + billingToken}, "billing"},
		{"last", []string{"Bearer " + otherToken}, "other"},
		{"scheme in another case", []string{"bEARER " + billingToken}, "billing"},
		{"several spaces", []string{"Bearer   " + billingToken}, "billing"},
		{"none", nil, "-"},
		{"empty", []string{""}, "-"},
		{"no token", []string{"Bearer "}, "-"},
		{"no scheme", []string{billingToken}, "-"},
		{"another scheme", []string{"Basic " + billingToken}, "-"},
		{"a part of it", []string{"Bearer " + billingToken[:len(billingToken)-1]}, "-"},
		{"more than it", []string{"Bearer " + billingToken + "1"}, "-"},
		{"space behind", []string{"Bearer " + billingToken + " "}, "-"},
		{"two fields", []string{"Bearer " + billingToken, "Bearer " + billingToken}, "-"},
		{"two in one field", []string{"Bearer " + billingToken + ", Bearer " + billingToken}, "-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, name := ask(c, func(r *http.Request) { r.Header["Proxy-Authorization"] = tc.fields })
			if name != tc.want || (w.Code == 407) != (tc.want == "-") {
				t.Errorf("%d, called by %q, want %q", w.Code, name, tc.want)
			}
		})
	}
	// Authorization is the application's, for the upstream.
	if _, name := ask(c, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+billingToken) }); name != "-" {
		t.Error("Authorization counts as Proxy-Authorization")
	}
}

func TestUnknownCallerIsAnswered407(t *testing.T) {
	var logs bytes.Buffer
	c := NewCallers([]Caller{{Name: "billing", Bearer: secret.New(billingToken)}}, slog.New(slog.NewTextHandler(&logs, nil)))
	w, _ := ask(c, func(r *http.Request) { r.Header.Set("Proxy-Authorization", "Bearer guess-canary") })
	if w.Code != 407 || w.Header().Get("Proxy-Authenticate") != `Bearer realm="attache"` ||
		w.Header().Get("Proxy-Status") != "attache; error=http_request_denied" ||
		w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(w.Body.String(), `"status":407`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if text := logs.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "remote=") {
		t.Errorf("the log says %s", text)
	}
	if text := logs.String() + w.Body.String(); strings.Contains(text, "canary") {
		t.Errorf("a token shows: %s", text)
	}
	w, _ = ask(c, func(r *http.Request) {
		r.ProtoMajor = 2
		r.Header.Set("Content-Type", "application/grpc+proto")
	})
	if w.Code != 200 || w.Header().Get("Grpc-Status") != "16" || w.Body.Len() > 0 {
		t.Errorf("gRPC: %d %v %s", w.Code, w.Header(), w.Body)
	}
	uid := uint32(7)
	w, _ = ask(NewCallers([]Caller{{Name: "u", UID: &uid}}, nil), func(*http.Request) {})
	if w.Code != 407 || w.Header().Get("Proxy-Authenticate") != "" {
		t.Errorf("without bearer callers: %d, challenge %q", w.Code, w.Header().Get("Proxy-Authenticate"))
	}
}

func TestPeerCallers(t *testing.T) {
	uid, gid := uint32(1000), uint32(50)
	c := NewCallers([]Caller{{Name: "user", UID: &uid}, {Name: "group", GID: &gid}}, nil)
	for _, tc := range []struct {
		peer Peer
		want string
	}{
		{Peer{UID: 1000, GID: 1}, "user"},
		{Peer{UID: 1, GID: 50}, "group"},
		{Peer{UID: 1000, GID: 50}, "user"},
		{Peer{UID: 50, GID: 1000}, "-"},
		{Peer{}, "-"},
	} {
		if _, name := ask(c, func(r *http.Request) { *r = *r.WithContext(WithPeer(r.Context(), tc.peer)) }); name != tc.want {
			t.Errorf("%+v is %q, want %q", tc.peer, name, tc.want)
		}
	}
	root := uint32(0)
	if _, name := ask(NewCallers([]Caller{{Name: "root", UID: &root}}, nil), func(*http.Request) {}); name != "-" {
		t.Error("a connection without a known peer counts as root's")
	}
}

func TestCertificateCallers(t *testing.T) {
	san := []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}}}
	uri, err := url.Parse("spiffe://example.org/billing")
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: "common"}
	full := &x509.Certificate{Subject: subject, Extensions: san, DNSNames: []string{"Billing.example.org", "*.wild.example"},
		URIs: []*url.URL{uri}, EmailAddresses: []string{"billing@example.org"}}
	bare := &x509.Certificate{Subject: subject}
	for _, tc := range []struct {
		certificate *x509.Certificate
		name        string
		want        bool
	}{
		{full, "billing.example.org", true},
		{full, "spiffe://example.org/billing", true},
		{full, "billing@example.org", true},
		{full, "a.wild.example", false},
		{full, "example.org", false},
		{full, "common", false}, // alternative names replace it
		{&x509.Certificate{Subject: subject, Extensions: san}, "common", false},
		{bare, "common", true},
		{bare, "Common", false},
	} {
		c := NewCallers([]Caller{{Name: "c", Certificate: tc.name}}, nil)
		verified := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{tc.certificate},
			VerifiedChains: [][]*x509.Certificate{{tc.certificate}}}
		if _, name := ask(c, func(r *http.Request) { r.TLS = verified }); (name == "c") != tc.want {
			t.Errorf("%s of %v: %q", tc.name, tc.certificate.Subject, name)
		}
		unverified := &tls.ConnectionState{PeerCertificates: verified.PeerCertificates}
		if _, name := ask(c, func(r *http.Request) { r.TLS = unverified }); name != "-" {
			t.Errorf("%s: a certificate counts that nobody verified", tc.name)
		}
	}
}

// TestCallersTokenStaysHere: it is for attache alone, and the request log has
// the caller's name.
func TestCallersTokenStaysHere(t *testing.T) {
	var sent http.Header
	rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return respond(200, ""), nil
	})
	var logs bytes.Buffer
	p, err := New(Config{
		Routes: []Route{{Name: "api", Upstream: mustURL(t, "https://up.example"), Transport: rt}},
		Logger: slog.New(slog.NewTextHandler(&logs, nil)), Requests: LogAll,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCallers([]Caller{{Name: "billing", Bearer: secret.New(billingToken)}}, nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Proxy-Authorization", "Bearer "+billingToken)
	r.Header.Set("X-Other", "kept")
	c.Wrap(p).ServeHTTP(httptest.NewRecorder(), r)
	if sent.Get("X-Other") != "kept" || len(sent["Proxy-Authorization"]) > 0 {
		t.Errorf("the upstream got %v", sent)
	}
	if text := logs.String(); !strings.Contains(text, "caller=billing") || strings.Contains(text, "canary") {
		t.Errorf("the log says %s", text)
	}
	if CallerName(context.Background()) != "" {
		t.Error("nobody has a name")
	}
}

// Whoever reaches a listener must not be able to fill the log.
func TestRefusedCallersAreLoggedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		c := NewCallers([]Caller{{Name: "billing", Bearer: secret.New(billingToken)}}, slog.New(slog.NewTextHandler(&logs, nil)))
		h := c.Wrap(http.NotFoundHandler())
		for range 3 {
			for range 100 {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
			time.Sleep(warnEvery)
		}
		if n := strings.Count(logs.String(), "refused a caller"); n != 3 {
			t.Errorf("%d lines about 300 refusals in 3 seconds", n)
		}
		if n := strings.Count(logs.String(), "refused_since_last_warning=99"); n != 2 {
			t.Errorf("%d lines tell how many there were before:\n%s", n, &logs)
		}
	})
}
