package http1

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// BenchmarkDo compares this client with net/http's over the loopback. The
// server's share is in both figures.
func BenchmarkDo(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, strings.Repeat("x", 200))
	}))
	defer s.Close()
	c := New(Config{Dial: dialer(s.Listener.Addr().String())})
	defer c.CloseIdle()
	std := &http.Transport{DisableCompression: true}
	defer std.CloseIdleConnections()
	u, err := url.Parse(s.URL + "/path?x=1")
	if err != nil {
		b.Fatal(err)
	}
	for _, client := range []struct {
		name string
		do   func(*http.Request) (*http.Response, error)
	}{
		{"own", func(r *http.Request) (*http.Response, error) { return c.Do(r, Options{}) }},
		{"net/http", std.RoundTrip},
	} {
		for _, body := range []string{"", strings.Repeat("y", 1000)} {
			b.Run(client.name+map[bool]string{true: "/GET", false: "/POST"}[body == ""], func(b *testing.B) {
				b.ReportAllocs()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				header := http.Header{"User-Agent": {"bench"}, "Accept": {"*/*"}, "Authorization": {"Bearer token"}}
				for b.Loop() {
					r := (&http.Request{Method: "GET", URL: u, Header: header, Host: u.Host}).WithContext(ctx)
					if body != "" {
						r.Method, r.ContentLength, r.Body = "POST", int64(len(body)), io.NopCloser(strings.NewReader(body))
					}
					ans, err := client.do(r)
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, ans.Body); n != 200 || err != nil {
						b.Fatal(n, err)
					}
					ans.Body.Close()
				}
			})
		}
	}
}

func dialer(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
}

// canned is a connection that answers each write.
type canned struct {
	scripted
	answer string
}

func (c *canned) Write(p []byte) (int, error) {
	c.text = c.answer
	return len(p), nil
}

// BenchmarkAlone is the client's own share: there is no network below it.
func BenchmarkAlone(b *testing.B) {
	const head = "HTTP/1.1 200 OK\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: application/json\r\nServer: x\r\nContent-Length: 200\r\n\r\n"
	conn := &canned{scripted{piece: 1 << 20}, head + strings.Repeat("x", 200)}
	c := New(Config{Dial: func(context.Context) (net.Conn, error) { return conn, nil }})
	u := &url.URL{Scheme: "http", Host: "up.example", Path: "/path", RawQuery: "x=1"}
	header := http.Header{"User-Agent": {"bench"}, "Accept": {"*/*"}, "Authorization": {"Bearer token"}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := (&http.Request{Method: "GET", URL: u, Header: header, Host: u.Host}).WithContext(ctx)
	p := make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		ans, err := c.Do(r, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if n, err := ans.Body.Read(p); n != 200 || err != io.EOF {
			b.Fatal(n, err)
		}
		ans.Body.Close()
	}
}
