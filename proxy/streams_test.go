package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
)

// openSocket asks for a WebSocket on a connection and reads its first words.
func openSocket(t *testing.T, conn net.Conn) *bufio.Reader {
	t.Helper()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: front.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	back := bufio.NewReader(conn)
	if ans, err := http.ReadResponse(back, nil); err != nil || ans.StatusCode != 101 {
		t.Fatalf("%v, %v", ans, err)
	}
	if _, err := io.ReadFull(back, make([]byte, len("hello "))); err != nil {
		t.Fatal(err)
	}
	return back
}

// TestEndWebSocket: both sides learn of the end at once; the request is counted
// then, and not before.
func TestEndWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		m := &counters{}
		c := inMemory(t, sides{}, &testPlan{}, socketServer(ended, func(*http.Request) {}), m)
		streams := c.proxy.streams
		back := openSocket(t, c.dial())
		time.Sleep(time.Hour)
		if streams.Len() != 1 || m.started != 1 || len(m.codes) != 0 {
			t.Errorf("%d streams, %d requests began, those done are %v", streams.Len(), m.started, m.codes)
		}
		start := time.Now()
		if n := streams.End(); n != 1 {
			t.Errorf("End ended %d", n)
		}
		if rest, err := io.ReadAll(back); len(rest) != 0 || err != nil {
			t.Errorf("the client read %q, %v", rest, err)
		}
		<-ended
		if err := streams.Wait(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if streams.Len() != 0 || m.codes[101] != 1 {
			t.Errorf("%d streams, requests done are %v", streams.Len(), m.codes)
		}
		if n := streams.End(); n != 0 {
			t.Errorf("End ended %d once more", n)
		}
	})
}

// TestWebSocketOutlivesItsHandler: the server keeps no handler and no buffer for
// it, and yet the log tells all of it.
func TestWebSocketOutlivesItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		var out bytes.Buffer
		streams := new(Streams)
		rt, err := NewTransport(TransportConfig{
			Upstream: mustURL(t, "http://up.example"), Dial: listenMemory(t, socketServer(ended, func(*http.Request) {}), false),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		p, err := New(Config{
			Routes:  []Route{{Name: "api", Upstream: mustURL(t, "http://up.example"), Transport: rt}},
			Logger:  slog.New(slog.NewTextHandler(&out, nil)),
			Streams: streams, Requests: LogAll,
		})
		if err != nil {
			t.Fatal(err)
		}
		returned := make(chan struct{})
		named := NewCallers([]Caller{{Name: "app", Bearer: secret.New("0123456789abcdef")}}, nil).Wrap(p)
		dial := listenMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(returned)
			r.Header.Set("Proxy-Authorization", "Bearer 0123456789abcdef")
			named.ServeHTTP(w, r)
		}), false)
		conn, err := dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		back := openSocket(t, conn)
		<-returned
		time.Sleep(time.Minute)
		io.WriteString(conn, "still there")
		text := make([]byte, len("still there"))
		if _, err := io.ReadFull(back, text); err != nil || string(text) != "still there" {
			t.Errorf("%q, %v", text, err)
		}
		if out.Len() != 0 {
			t.Errorf("logged ahead of its end: %s", &out)
		}
		conn.Close()
		<-ended
		if err := streams.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if line := out.String(); !strings.Contains(line, "route=api status=101 duration_ms=60000 ") || !strings.Contains(line, "caller=app") {
			t.Errorf("logged %q", line)
		}
	})
}

// TestEndAnswers: an event stream and its like break off; none of them looks as
// if it had ended. A client that takes nothing is not waited for.
func TestEndAnswers(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/x-ndjson; charset=utf-8", "application/grpc-web+proto"} {
		for _, silent := range []bool{false, true} {
			eachSides(t, func(t *testing.T, s sides) {
				ended := make(chan struct{})
				up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(ended)
					w.Header().Set("Content-Type", kind)
					for {
						if _, err := io.WriteString(w, strings.Repeat("event\n", 10_000)); err != nil {
							return
						}
						w.(http.Flusher).Flush()
						if !silent { // else until nobody takes anything any more
							<-r.Context().Done()
							return
						}
					}
				})
				m := &counters{}
				c := inMemory(t, s, &testPlan{}, up, m)
				ans := c.do(t, "GET", "/", nil)
				defer ans.Body.Close()
				if !silent {
					if _, err := io.ReadFull(ans.Body, make([]byte, 60_000)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Hour)
				start := time.Now()
				if n := c.proxy.streams.End(); n != 1 {
					t.Errorf("%d were ended", n)
				}
				if err := c.proxy.streams.Wait(t.Context()); err != nil || time.Since(start) != 0 {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				<-ended
				if _, err := io.Copy(io.Discard, ans.Body); err == nil {
					t.Error("the answer looks whole")
				}
				if synctest.Wait(); m.codes[200] != 1 || time.Since(start) != 0 {
					t.Errorf("requests done are %v, after %v", m.codes, time.Since(start))
				}
			})
		}
	}
}

// cutCall begins a call, ends all streams an hour later and returns the call's
// end.
func cutCall(t *testing.T, c *memoryClient, ans *http.Response) {
	t.Helper()
	start := time.Now()
	if n := c.proxy.streams.End(); n != 1 {
		t.Errorf("%d calls were ended", n)
	}
	rest, err := io.ReadAll(ans.Body)
	ans.Body.Close()
	if len(rest) != 0 || err != nil || ans.Trailer.Get("Grpc-Status") != "14" || ans.Trailer.Get("Grpc-Message") != "the proxy is shutting down" {
		t.Errorf("the call ended with %q, %v, %v", rest, err, ans.Trailer)
	}
	if err := c.proxy.streams.Wait(t.Context()); err != nil || time.Since(start) != 0 {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestEndCalls: gRPC calls get a status that says to try again, on routes with a
// rule for the end of calls and on others, and whether or not the upstream
// announced its trailers.
func TestEndCalls(t *testing.T) {
	for _, announced := range []bool{false, true} {
		eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
			left := make(chan struct{})
			up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
				if announced {
					w.Header().Set("Trailer", "Grpc-Status")
				}
				io.WriteString(w, grpcMessageOf("first"))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				close(left)
			}}
			c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
			in, _ := io.Pipe() // the client may say more
			ans := c.call(t, "/svc/Chat", in)
			wantMessage(t, ans.Body, "first")
			time.Sleep(time.Minute)
			cutCall(t, c, ans)
			<-left
		})
	}
}

// TestEndCallWithoutAnswer: a call may go on for as long without a head.
func TestEndCallWithoutAnswer(t *testing.T) {
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		left := make(chan struct{})
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(left)
		}}
		m := &counters{}
		c := inMemory(t, sides{true, true}, plan, up, m, quickSlot(t, &source{t: t}))
		in, _ := io.Pipe()
		time.AfterFunc(time.Hour, func() { c.proxy.streams.End() })
		start := time.Now()
		ans := c.call(t, "/svc/Upload", in)
		ans.Body.Close()
		if h := ans.Header; h.Get("Grpc-Status") != "14" || h.Get("Grpc-Message") != "the proxy is shutting down" || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", h, time.Since(start))
		}
		<-left
		if synctest.Wait(); m.codes[503] != 1 || c.proxy.streams.Len() != 0 {
			t.Errorf("done are %v, %d streams", m.codes, c.proxy.streams.Len())
		}
	})
}

// TestEndCallAsItsAnswerBegins: its head is here and still held back.
func TestEndCallAsItsAnswerBegins(t *testing.T) {
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}}
		c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		settled() // the token is here
		time.AfterFunc(endDelay/2, func() { c.proxy.streams.End() })
		ans := c.call(t, "/svc/Quick", http.NoBody)
		if rest, err := io.ReadAll(ans.Body); len(rest) != 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		if got := ans.Header.Get("Grpc-Status") + ans.Trailer.Get("Grpc-Status"); got != "14" {
			t.Errorf("the status is %q", got)
		}
	})
}

// TestEndCallOfASilentClient: it has a moment to take what it is owed.
func TestEndCallOfASilentClient(t *testing.T) {
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, grpcMessageOf(strings.Repeat("x", 10_000)))
			}
		}}
		c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		ans := c.call(t, "/svc/Flood", http.NoBody)
		defer ans.Body.Close()
		time.Sleep(time.Minute)
		start := time.Now()
		c.proxy.streams.End()
		if err := c.proxy.streams.Wait(t.Context()); err != nil || time.Since(start) != cutGrace {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestStreamsAfterTheEnd are ended as they begin; requests are not.
func TestStreamsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Upgrade") != "":
				socketServer(ended, func(*http.Request) {}).ServeHTTP(w, r)
			case r.URL.Path == "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			default:
				io.WriteString(w, "ok")
			}
		})
		c := inMemory(t, sides{}, &testPlan{}, up, &counters{})
		c.proxy.streams.End()
		start := time.Now()
		if ans, err := c.try(t.Context(), "GET", "/events", nil); err == nil {
			if _, err = io.ReadAll(ans.Body); err == nil {
				t.Error("an event stream looks whole")
			}
		}
		conn := c.dial()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: front.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(io.Discard, conn)
		<-ended
		ans := c.do(t, "GET", "/", nil)
		if text, err := io.ReadAll(ans.Body); err != nil || string(text) != "ok" {
			t.Errorf("a request got %q, %v", text, err)
		}
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
	})
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
		c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		settled() // the token is here
		c.proxy.streams.End()
		ans := c.call(t, "/svc/Late", http.NoBody)
		ans.Body.Close()
		if got := ans.Header.Get("Grpc-Status"); got != "14" {
			t.Errorf("a late call got %q", got)
		}
	})
}

// TestRequestsAreNoStreams: they are waited for by the server, and End leaves
// them alone.
func TestRequestsAreNoStreams(t *testing.T) {
	eachSides(t, func(t *testing.T, s sides) {
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			time.Sleep(time.Minute)
			io.WriteString(w, "last")
		})
		c := inMemory(t, s, &testPlan{}, up, &counters{})
		time.AfterFunc(30*time.Second, func() {
			if n := c.proxy.streams.End(); n != 0 {
				t.Errorf("%d requests were ended", n)
			}
		})
		ans := c.do(t, "GET", "/", nil)
		if text, err := io.ReadAll(ans.Body); err != nil || string(text) != "firstlast" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// TestWaitForStreams ends with its context as well.
func TestWaitForStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Streams
		if err := s.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		a, b := s.add(func() {}), s.add(func() {})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() { s.remove(a) })
		time.AfterFunc(2*time.Second, func() { s.remove(b) })
		start := time.Now()
		if err := s.Wait(t.Context()); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestCutIsNotTooEarly: what an upstream sends is given up as well if it comes
// when the stream was cut already.
func TestCutIsNotTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Streams
		st := s.add(func() {})
		s.End()
		body, _ := io.Pipe()
		st.reading(body)
		if _, err := body.Read(nil); err != io.ErrClosedPipe {
			t.Error(err)
		}
	})
}

// TestCutIsNotTooLate: a stream that has ended is not cut, for its connection may
// serve another request by then.
func TestCutIsNotTooLate(t *testing.T) {
	var s Streams
	st := s.add(func() { t.Error("it was cut") })
	s.remove(st)
	st.end() // as End does, which took its list before
	if st.wasCut() {
		t.Error("it says that it was")
	}
}
