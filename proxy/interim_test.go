package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// TestInterimAnswers reach the client as they come, by the rules for any answer,
// and leave no trace in the final one.
func TestInterimAnswers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		plan := &testPlan{hide: []exchange.Name{header("Token")}}
		plan.fields = func(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) []exchange.Field {
			return append(dst, exchange.Field{In: exchange.Query, Name: "key", Value: "good-token"})
		}
		seen := make(chan struct{})
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			w.WriteHeader(102)
			<-seen // the client has it before the upstream goes on
			h["Link"], h["Token"], h["X-Echo"] = []string{"</a.css>"}, []string{"secret"}, []string{"/?key=good-token"}
			w.WriteHeader(103)
			clear(h)
			h["Content-Type"] = []string{"text/plain"}
			io.WriteString(w, "done")
		}), h2)
		var got []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if got = append(got, fmt.Sprint(code, " ", header.Get("Link"))); code == 102 {
				close(seen)
			}
			if header.Get("Token") != "" || strings.Contains(fmt.Sprint(header), "good") {
				t.Errorf("a token is in %v", header)
			}
			return nil
		}}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.URL+"/route", nil)
		if err != nil {
			t.Fatal(err)
		}
		ans, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer ans.Body.Close()
		if text, err := io.ReadAll(ans.Body); string(text) != "done" || err != nil || ans.StatusCode != 200 {
			t.Errorf("%v, %q, %v", ans, text, err)
		}
		if strings.Join(got, ", ") != "102 , 103 </a.css>" || ans.Header["Link"] != nil || ans.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("the client saw %q, then %v", got, ans.Header)
		}
	})
}

// TestInterimAnswersAreNotForOldClients: HTTP/1.0 has none (RFC 9110 section
// 15.2).
func TestInterimAnswersAreNotForOldClients(t *testing.T) {
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(103)
		io.WriteString(w, "done")
	}), false)
	conn := dialServer(t, s)
	fmt.Fprint(conn, "GET /route HTTP/1.0\r\nHost: localhost\r\n\r\n")
	if text, err := io.ReadAll(conn); strings.Contains(string(text), "103") || !strings.HasSuffix(string(text), "done") || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestContinue: the client's leave is the upstream's, and there is one.
func TestContinue(t *testing.T) {
	leave := make(chan struct{})
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("the upstream saw %v", r.Header)
		}
		w.WriteHeader(103) // which the server may be in the way of
		close(leave)
		io.Copy(w, r.Body)
	}), false)
	conn := dialServer(t, s)
	fmt.Fprint(conn, "POST /route HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	back := bufio.NewReader(conn)
	for _, want := range []int{100, 200} {
		ans, err := http.ReadResponse(back, nil)
		if err != nil || ans.StatusCode != want {
			t.Fatalf("%v, %v, want %d", ans, err, want)
		}
		if want == 100 {
			<-leave
			fmt.Fprint(conn, "text")
		} else if text, _ := io.ReadAll(ans.Body); string(text) != "text" {
			t.Errorf("%q", text)
		}
	}
}

// TestRefusedExpectation: the client keeps its body.
func TestRefusedExpectation(t *testing.T) {
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(417)
	}), false)
	conn := dialServer(t, s)
	fmt.Fprint(conn, "POST /route HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || ans.StatusCode != 417 {
		t.Errorf("%v, %v", ans, err)
	}
}

// dialServer connects to a server as a client of one's own.
func dialServer(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestInterimRelay: a client that does not read holds up nobody else, and after
// the end nothing is passed on.
func TestInterimRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := make(chan struct{})
		passed := 0
		r := &interimRelay{pass: func(int, http.Header) {
			<-reads
			passed++
		}}
		for i := range maxInterim {
			if err := r.got(103, nil); err != nil {
				t.Fatalf("number %d: %v", i, err)
			}
		}
		if r.got(103, nil) == nil {
			t.Error("there is no bound")
		}
		ended := false
		go func() {
			r.end()
			ended = true
		}()
		time.Sleep(time.Second)
		if ended {
			t.Error("the end does not wait")
		}
		close(reads)
		synctest.Wait()
		if before := passed; !ended || before < interimQueue || before > interimQueue+1 || r.got(103, nil) == nil {
			t.Errorf("ended: %t, %d passed on", ended, before)
		}
		r.end()
		nobody := &interimRelay{}
		if nobody.got(103, nil) != nil {
			t.Error("without anybody to pass them to they fail")
		}
		nobody.end()
	})
}

// TestClientThatResetsDuringInterimAnswers: net/http may still be writing the
// header of one when its client is gone. What it reads is never changed; a map
// that is would end the process. (Only the race detector sees it every time.)
func TestClientThatResetsDuringInterimAnswers(t *testing.T) {
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 50 {
			w.Header()[fmt.Sprint("X-Long-", i)] = []string{strings.Repeat("x", 20)}
		}
		for range 20 {
			w.WriteHeader(103)
		}
	}), true)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
					if seen++; seen > i%5 {
						cancel()
					}
					return nil
				}}
				r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), "GET", s.URL+"/route", nil)
				if err != nil {
					t.Error(err)
				}
				if ans, err := s.Client().Do(r); err == nil {
					ans.Body.Close()
				}
				cancel()
			}
		})
	}
	clients.Wait()
}
