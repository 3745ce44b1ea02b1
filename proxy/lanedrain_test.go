package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// late answers each request with its path, after the time that it asks for.
func late(_ int, r *http.Request, body string) string {
	d, _ := time.ParseDuration(r.Header.Get("Late"))
	time.Sleep(d)
	text := r.URL.Path + body
	return fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", len(text), text)
}

// handing are requests that the express lane hands over.
var handing = []string{
	"GET /h HTTP/1.1\nHost: localhost\nTe: trailers\n\n",
	"POST /h HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 3\n\nabc",
	"GET /h HTTP/1.0\nHost: localhost\nConnection: keep-alive\n\n",
	"GET /h HTTP/1.1\nHost: localhost\nX-Pad: " + strings.Repeat("x", 10<<10) + "\n\n",
}

// TestShutdownOfALane closes what is idle at once, on whatever lane it is, lets what is
// under way finish, and then ends. Nothing is accepted from then on.
func TestShutdownOfALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, script(late))
		fresh, idle, handed, busy, busyHanded := p.client(), p.client(), p.client(), p.client(), p.client()
		idle.expect(laneGet, 200)
		handed.expect(laneGet, 200)
		handed.expect(handing[0], 200)
		busy.write("POST /busy HTTP/1.1\nHost: localhost\nLate: 25s\nContent-Length: 3\n\nabc")
		busyHanded.write("GET /handed HTTP/1.1\nHost: localhost\nTe: trailers\nLate: 15s\n\n")
		time.Sleep(6 * time.Second) // net/http takes a connection for a new one, not an idle one, for five
		start := time.Now()
		stopped := make(chan time.Duration, 1)
		go func() {
			if err := p.lane.shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			stopped <- time.Since(start)
		}()
		for what, c := range map[string]*laneClient{"fresh": fresh, "idle": idle, "handed": handed} {
			if none, after := c.ended(); !none || after > 0 {
				t.Errorf("the %s connection ends after %v, silent %v", what, after, none)
			}
		}
		if _, text, err := busyHanded.read(); text != "/handed" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		ans, text, err := busy.read()
		if text != "/busyabc" || err != nil || ans.StatusCode != 200 || time.Since(start) != 19*time.Second {
			t.Errorf("%v %q, %v after %v", ans.Status, text, err, time.Since(start))
		}
		if !ans.Close && !standardLane() { // there it is for Leaving to say
			t.Error("the client is not told that the connection closes")
		}
		if none, after := busy.ended(); !none || after > time.Second {
			t.Errorf("the busy connection ends after %v, silent %v", after, none)
		}
		if got := <-stopped; got < 19*time.Second || got > 21*time.Second { // net/http looks now and then
			t.Errorf("the shutdown took %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if conn, err := p.in.dial(ctx, "", ""); err == nil {
			conn.Close()
			t.Error("a connection is accepted after the shutdown")
		}
	})
}

// TestShutdownThatRunsOut leaves what is under way alone; close cuts it.
func TestShutdownThatRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, script(late))
		busy, handed := p.client(), p.client()
		busy.write("GET /busy HTTP/1.1\nHost: localhost\nLate: 20s\n\n")
		handed.write("GET /handed HTTP/1.1\nHost: localhost\nTe: trailers\nLate: 20s\n\n")
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.lane.shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("the shutdown ends with %v", err)
		}
		p.lane.close()
		for _, c := range []*laneClient{busy, handed} {
			if none, after := c.ended(); !none || after > 0 {
				t.Errorf("a connection ends after %v, silent %v", after, none)
			}
		}
	})
}

// TestHandOver: a connection goes on on the standard lane in the midst of a pipeline,
// and nothing of it is lost.
func TestHandOver(t *testing.T) {
	for _, request := range handing {
		synctest.Test(t, func(t *testing.T) {
			p := newLanePair(t, roomy, &testPlan{}, nil, script(late))
			c := p.client()
			c.expect(laneGet, 200)
			go c.write("POST /1 HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc" + request + "POST /2 HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n" + laneGet)
			for _, want := range []string{"/1abc", "/h", "/2abc", "/x"} {
				ans, text, err := c.read()
				for ans.StatusCode == 100 {
					ans, text, err = c.read()
				}
				if err != nil || !strings.HasPrefix(text, want) {
					t.Errorf("%q, %v, want %q", text, err, want)
				}
			}
			time.Sleep(roomy.Idle * 5 / 4)
			if none, after := c.ended(); !none || after > 0 {
				t.Errorf("an idle connection ends after another %v", after)
			}
		})
	}
}

// TestShowBetweenRequests: each request is answered by what was shown last when it
// began, and by the standard lane where nothing is shown.
func TestShowBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, script(late))
		if p.lane.express == nil { // its one handler answers
			for range 2 {
				if _, text := p.client().expect(laneGet, 200); text != "/x" {
					t.Errorf("%q", text)
				}
			}
			return
		}
		saying := func(text string) *Proxy {
			return newProxy(t, &testPlan{}, fakeTransport(func(*http.Request) (*http.Response, error) { return respond(200, text), nil }), nil)
		}
		c := p.client()
		for _, tc := range []struct {
			f    *Front
			want string
		}{{&Front{Proxy: saying("one")}, "one"}, {&Front{Proxy: saying("two")}, "two"}, {&Front{Proxy: saying("three"), Standard: true}, "/x"}} {
			p.lane.express.Show(tc.f)
			if _, text := c.expect(laneGet, 200); text != tc.want {
				t.Errorf("%q, want %q", text, tc.want)
			}
		}
		c = p.client()
		p.lane.express.Show(&Front{Proxy: saying("four")})
		c.expect(laneGet, 200)
		p.lane.express.Show(nil)
		if _, text := c.expect(laneGet, 200); text != "/x" {
			t.Errorf("%q where nothing is shown", text)
		}
		// A request is that of the guard and the callers that are shown when it begins.
		c = p.client()
		p.lane.express.Show(&Front{Proxy: saying("five")})
		c.expect(laneGet, 200)
		p.lane.express.Show(&Front{Proxy: saying("six"), Callers: NewCallers(nil, nil)})
		c.expect(laneGet, 407)
		const foreign = "GET /x HTTP/1.1\nHost: evil.example\n\n"
		p.lane.express.Show(&Front{Proxy: saying("seven")})
		c.expect(foreign, 200)
		p.lane.express.Show(&Front{Proxy: saying("eight"), Guard: &Guard{Loopback: true}})
		c.expect(foreign, 421)
		c.expect(laneGet, 200)
		c.expect(foreign, 421)
	})
}

// TestTLSOnALane: callers are known by their certificates on either lane, on a
// connection that changes lanes, and over HTTP/2.
func TestTLSOnALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		server := ca.sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		known := ca.sign(t, &x509.Certificate{DNSNames: []string{"app.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		up := &pipes{serve: func(_ int, c net.Conn) { script(late)(c) }}
		rt, err := NewTransport(TransportConfig{Upstream: mustURL(t, "http://up.example"), Dial: up.dial})
		if err != nil {
			t.Fatal(err)
		}
		front := &Front{
			Proxy:   newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, "http://up.example") }),
			Callers: NewCallers([]Caller{{Name: "app", Certificate: "app.example"}}, nil),
		}
		s := roomy.Server(front.Handler())
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: ca.pool, ClientAuth: tls.VerifyClientCertIfGiven}
		in := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		l := onLane(roomy, roomy.Listener(in), s, front.Proxy)
		if l.express != nil {
			l.express.Show(front)
		}
		defer func() {
			l.close()
			rt.Close()
			up.wait()
		}()
		for _, certificates := range [][]tls.Certificate{nil, {known}} {
			status := map[int]int{0: 407, 1: 200}[len(certificates)]
			settings := &tls.Config{RootCAs: ca.pool, ServerName: "localhost", Certificates: certificates}
			raw, err := in.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(raw, settings)
			c := &laneClient{conn, t, bufio.NewReader(conn)}
			for _, request := range []string{laneGet, "POST /y HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc", handing[0], laneGet} {
				if ans, _ := c.expect(request, status); ans.Close { // a body that nobody read
					conn.Close()
					if raw, err = in.dial(t.Context(), "", ""); err != nil {
						t.Fatal(err)
					}
					conn = tls.Client(raw, settings)
					c = &laneClient{conn, t, bufio.NewReader(conn)}
				}
			}
			conn.Close()
			h2 := new(http.Protocols)
			h2.SetHTTP2(true)
			tr := &http.Transport{Protocols: h2, TLSClientConfig: settings, DialContext: in.dial}
			ans, err := (&http.Client{Transport: tr}).Get("https://localhost/z")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(ans.Body)
			if ans.StatusCode != status || ans.ProtoMajor != 2 || err != nil || status == 200 && string(text) != "/z" {
				t.Errorf("HTTP/2: %v %q, %v", ans.Status, text, err)
			}
			tr.CloseIdleConnections()
		}
	})
}
