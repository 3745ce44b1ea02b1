package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"attache/internal/exchange"

	"github.com/google/go-cmp/cmp"
)

// serve runs a handler on a real server; tlsToo: with HTTP/2 over TLS.
func serve(t *testing.T, h http.Handler, tlsToo bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if tlsToo {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// between puts a proxy with the plan in front of a handler, HTTP/2 over TLS on
// both sides if tlsToo, and returns its server.
func between(t *testing.T, plan Plan, upstream http.Handler, tlsToo bool, slots ...Slot) *httptest.Server {
	t.Helper()
	up := serve(t, upstream, tlsToo)
	cfg := TransportConfig{Upstream: mustURL(t, up.URL)}
	if tlsToo {
		pool := x509.NewCertPool()
		pool.AddCert(up.Certificate())
		cfg.TLS = &tls.Config{RootCAs: pool, ServerName: "example.com"}
	}
	rt, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.CloseIdleConnections)
	p := newProxy(t, plan, rt, slots, func(r *Route) {
		r.Path, r.Upstream = "/route", mustURL(t, up.URL+"/base")
	})
	return frontServer(t, p, tlsToo)
}

// eachProtocol runs a test over HTTP/1.1 and over HTTP/2.
func eachProtocol(t *testing.T, f func(t *testing.T, h2 bool)) {
	t.Run("HTTP/1.1", func(t *testing.T) { f(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { f(t, true) })
}

// noRedirects makes a server's client show what it got.
func noRedirects(s *httptest.Server) *http.Client {
	c := s.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func TestAnswerHead(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		plan := &testPlan{
			strip: []exchange.Name{{In: exchange.Query, Name: "token"}},
			hide:  []exchange.Name{header("Ccmessaging-Token"), {In: exchange.Cookie, Name: "session"}},
			query: true,
		}
		plan.fields = everywhere().fields
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Content-Type"] = nil
			h.Set("Ccmessaging-Token", "secret")
			h.Add("Set-Cookie", "session=secret; Path=/")
			h.Add("Set-Cookie", "sid=secret; HttpOnly")
			h.Add("Set-Cookie", "other=1")
			h.Set("Location", "/base/next?a=1&"+r.URL.RawQuery)
			h.Set("X-A", "1")
			h.Set("Cache-Control", "max-age=1")
			if !h2 {
				h.Set("Connection", "X-Gone")
				h.Set("X-Gone", "1")
				h.Set("Keep-Alive", "x")
			}
			w.WriteHeader(302)
			io.WriteString(w, "<html>")
		}), h2)
		ans, err := noRedirects(s).Get(s.URL + "/route/x?b=2")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(ans.Body)
		ans.Header.Del("Date")
		want := http.Header{
			"Set-Cookie": {"other=1"}, "Location": {"/route/next?a=1&b=2"}, "X-A": {"1"}, "Cache-Control": {"max-age=1"},
			"Content-Length": {"6"},
		}
		if diff := cmp.Diff(want, ans.Header); diff != "" || ans.StatusCode != 302 || string(text) != "<html>" {
			t.Errorf("status %d, body %q, header %s", ans.StatusCode, text, diff)
		}
	})
}

func TestTrailers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		plan := &testPlan{strip: []exchange.Name{header("Token")}, hide: []exchange.Name{header("X-Hidden")}}
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-Announced, X-Hidden")
			w.Header().Set("X-Announced", "in the head")
			io.WriteString(w, "ok")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Announced", fmt.Sprintf("%s %v", text, r.Trailer))
			w.Header().Set("X-Hidden", "secret")
			w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		}), h2)
		r, _ := http.NewRequest("POST", s.URL+"/route", struct{ io.Reader }{strings.NewReader("abc")})
		r.Trailer = http.Header{"X-Sum": {"6"}, "Token": {"evil"}}
		ans, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, ans.Body)
		want := http.Header{"X-Announced": {"abc map[X-Sum:[6]]"}, "X-Late": {"1"}}
		if diff := cmp.Diff(want, ans.Trailer); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnswersArriveAsTheyAreSent: head, then every piece, with and without a
// declared length.
func TestAnswersArriveAsTheyAreSent(t *testing.T) {
	for _, tc := range []struct{ name, kind, length string }{
		{"unknown length", "text/plain", ""},
		{"known length", "text/plain", "6"},
		{"events", "text/event-stream", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, h2 bool) {
				step := make(chan string)
				s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", tc.kind)
					if tc.length != "" {
						w.Header().Set("Content-Length", tc.length)
					}
					w.(http.Flusher).Flush()
					for piece := range step {
						io.WriteString(w, piece)
						w.(http.Flusher).Flush()
					}
				}), h2)
				ans, err := s.Client().Get(s.URL + "/route") // returns with the head
				if err != nil {
					t.Fatal(err)
				}
				defer ans.Body.Close()
				for _, piece := range []string{"abc", "def"} {
					step <- piece // the next one is not sent before this one arrived
					got := make([]byte, 3)
					if _, err := io.ReadFull(ans.Body, got); err != nil || string(got) != piece {
						t.Fatalf("%q, %v", got, err)
					}
				}
				close(step)
			})
		})
	}
}

// TestBrokenAnswerIsNotWhole: an upstream that breaks off must not look like one
// that has finished.
func TestBrokenAnswerIsNotWhole(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), h2)
		ans, err := s.Client().Get(s.URL + "/route")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(ans.Body); err == nil {
			t.Errorf("the client read %q and no error", text)
		}
	})
}

// TestUploadGoesOnAfterTheAnswerBegan: both directions stream at once.
func TestUploadGoesOnAfterTheAnswerBegan(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.(http.Flusher).Flush()
			lines := bufio.NewScanner(r.Body)
			for lines.Scan() {
				fmt.Fprintf(w, "%s!\n", lines.Text())
				w.(http.Flusher).Flush()
			}
		}), h2)
		in, out := io.Pipe()
		r, _ := http.NewRequest("POST", s.URL+"/route", in)
		ans, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer ans.Body.Close()
		back := bufio.NewReader(ans.Body)
		for _, word := range []string{"one", "two", "three"} {
			fmt.Fprintln(out, word)
			if line, err := back.ReadString('\n'); line != word+"!\n" {
				t.Fatalf("%q, %v", line, err)
			}
		}
		out.Close()
		if rest, err := io.ReadAll(back); len(rest) != 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

// TestSpaceInAnHTTP2Path: HTTP/2 frames the path, so a space in it ends nothing
// there; in a request line it would.
func TestSpaceInAnHTTP2Path(t *testing.T) {
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the upstream saw %s", r.RequestURI)
	}), true)
	r, _ := http.NewRequest("GET", s.URL, nil)
	r.URL.Opaque = "/route/a HTTP/1.1"
	ans, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	ans.Body.Close()
	if ans.ProtoMajor != 2 || ans.StatusCode != 400 {
		t.Errorf("%s, status %d", ans.Proto, ans.StatusCode)
	}
}
