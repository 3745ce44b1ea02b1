package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"attache/internal/exchange"
)

func TestWithoutTokens(t *testing.T) {
	const token = "TOKEN/12345"
	injected := []exchange.Field{{In: exchange.Query, Name: "access_token", Value: url.QueryEscape(token)}, {In: exchange.Header, Name: "X", Value: "unrelated-value"}}
	twice := url.QueryEscape(url.QueryEscape(token))
	tests := []struct {
		key, value string
		want       []string
	}{
		{"Location", "/fine?page=2#top", []string{"/fine?page=2#top"}},
		{"Location", "http://login.example/?next=http%3A%2F%2Fx%2F%3Faccess_token%3D" + twice, []string{"http://login.example/"}},
		{"Location", "/x#access_token=" + token, []string{"/x"}},
		{"Location", "/x/" + token, nil},
		{"Content-Location", "/x?a=1&t=token%2f12345", []string{"/x"}},
		{"Link", "</y?page=2&access_token=" + url.QueryEscape(token) + ">; rel=\"next\"", nil},
		{"Refresh", "0; url=/x?access_token=" + token, nil},
		{"X-Echo", token, nil},
		{"X-Echo", "unrelated-value", []string{"unrelated-value"}},
	}
	for _, test := range tests {
		if got := withoutTokens(test.key, []string{test.value}, injected); !slices.Equal(got, test.want) {
			t.Errorf("%s: %s became %q, want %q", test.key, test.value, got, test.want)
		}
	}
}

func TestForeignStatus(t *testing.T) {
	got := foreignStatus([]string{"cdn; error=dns_error", "attache; error=destination_unavailable", `cdn, "attache"`, "attached"})
	if want := []string{"cdn; error=dns_error", "attached"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// serveRaw runs handler on a real socket: it is the server's reading of bodies
// that is tested. It returns a function that sends text and reads an answer,
// which has to come although the rest of the body does not.
func serveRaw(t *testing.T, handler http.Handler) func(text string) *http.Response {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return func(text string) *http.Response {
		t.Helper()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second)) // only a hang comes near it
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		return ans
	}
}

func TestOwnAnswersDoNotWaitForTheBody(t *testing.T) {
	p, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ask := serveRaw(t, Guard{Loopback: true}.Wrap(p))
	for _, test := range []struct {
		host string
		want int
	}{{"localhost", 404}, {"foreign.example", 421}} {
		for _, framing := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
			ans := ask(fmt.Sprintf("POST /nowhere HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", test.host, framing))
			if ans.StatusCode != test.want || !ans.Close {
				t.Errorf("%s, %s: %d, close %v", test.host, framing, ans.StatusCode, ans.Close)
			}
		}
	}
}

func TestStatusBelow100IsABadGateway(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go func() {
		for {
			conn, err := upstream.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(conn).ReadString('\n')
			io.WriteString(conn, "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n")
			conn.Close()
		}
	}()
	target := &url.URL{Scheme: "http", Host: upstream.Addr().String()}
	transport, err := NewTransport(TransportConfig{Upstream: target})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	p, err := New(Config{Routes: []Route{{Name: "r", Upstream: target, Transport: transport}}})
	if err != nil {
		t.Fatal(err)
	}
	ans := serveRaw(t, p)("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if status := ans.Header.Get("Proxy-Status"); ans.StatusCode != 502 || !strings.Contains(status, "http_protocol_error") {
		t.Errorf("%d %s", ans.StatusCode, status)
	}
}
