package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"attache/refresher"
)

// TestMovingTransport: of many upstreams the connections of few are kept, and those
// that are given up still send.
func TestMovingTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	defer server.Close()
	m := NewMovingTransport(TransportConfig{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}})
	send := func(host string) {
		t.Helper()
		req, err := http.NewRequest("GET", "http://"+host, nil)
		if err != nil {
			t.Fatal(err)
		}
		ans, err := m.Send(req, nil)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			return
		}
		defer ans.Body.Close()
		if got, err := io.ReadAll(ans.Body); string(got) != host {
			t.Errorf("%s: %q answers: %v", host, got, err)
		}
	}
	first, _, _ := m.to("http", "host1.example")
	for i := range 5 * maxOrigins {
		send(fmt.Sprintf("host%d.example", 1+i%(2*maxOrigins)))
		if n := m.recents.Len(); n > maxOrigins || n != len(m.byName) {
			t.Fatalf("%d origins, %d names; want at most %d", n, len(m.byName), maxOrigins)
		}
	}
	again, _, _ := m.to("http", "host1.example")
	if again == first {
		t.Error("the one that was not used for longest is still there")
	}
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() { send(fmt.Sprintf("host%d.example", i)) })
	}
	all.Wait()
	m.Close()
	m.Close()
	send("host1.example")
	if m.recents.Len() != 0 {
		t.Error("it keeps connections after its end")
	}
}

// TestUpstreamOfTokens: each attempt goes where its own token says, and nowhere if
// that is not known.
func TestUpstreamOfTokens(t *testing.T) { synctest.Test(t, testUpstreamOfTokens) }

func testUpstreamOfTokens(t *testing.T) {
	engine := startEngine(t)
	slot := addToken(t, engine, "access", &source{t: t})
	var sent []string
	rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Host+" "+r.URL.String())
		if len(sent) == 1 {
			return respond(http.StatusUnauthorized, ""), nil
		}
		return respond(http.StatusFound, "", "Location", "https://two.example/base/next", "Location", "https://one.example/base/x"), nil
	})
	p := newProxy(t, bearerPlan(), rt, []Slot{slot}, func(r *Route) {
		r.Path, r.Upstream = "/api", nil
		r.Resolve = func(tokens []refresher.Token) (*url.URL, error) {
			switch tokens[0].Value.Reveal() {
			case "token1":
				return url.Parse("https://one.example/base/")
			case "token2":
				return url.Parse("https://two.example/base")
			}
			return nil, errors.New("nobody knows where")
		}
	})
	ans := get(p, "/api/x?y=1")
	want := "one.example https://one.example/base/x?y=1, two.example https://two.example/base/x?y=1"
	if got := strings.Join(sent, ", "); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if got := strings.Join(ans.Header().Values("Location"), " "); got != "/api/next https://one.example/base/x" {
		t.Errorf("locations are %s", got)
	}
	instance, err := slot.Pool.Instance(nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := instance.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	instance.Reject(token, refresher.Cause{By: "test"})
	ans = get(p, "/api/x")
	if ans.Code != http.StatusBadGateway || !strings.Contains(ans.Body.String(), "nobody knows where") ||
		ans.Header().Get("Proxy-Status") != "attache; error=destination_not_found" {
		t.Errorf("got %d %v %s", ans.Code, ans.Header(), ans.Body)
	}
	if len(sent) != 2 {
		t.Errorf("sent all the same: %q", sent)
	}
}
