package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// readMessage reads one gRPC message.
func readMessage(r io.Reader) (string, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	text := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(r, text)
	return string(text), err
}

// wantMessage reads one message of an answer or a request.
func wantMessage(t *testing.T, r io.Reader, want string) {
	t.Helper()
	if got, err := readMessage(r); got != want || err != nil {
		t.Errorf("the message is %q, %v, want %q", got, err, want)
	}
}

// eachGRPCRoute runs a test in a bubble for a route with a grpc rule and for one
// without.
func eachGRPCRoute(t *testing.T, f func(t *testing.T, plan *testPlan)) {
	for _, rules := range []bool{false, true} {
		t.Run(fmt.Sprintf("rules=%v", rules), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := grpcPlan()
				plan.trailers = rules
				f(t, plan)
			})
		})
	}
}

// endCall is the end of a call's answer.
func endCall(w http.ResponseWriter, status string) {
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
	w.Header().Set(http.TrailerPrefix+"Grpc-Message", "as it is")
	w.Header().Set(http.TrailerPrefix+"Details-Bin", "AAEC")
}

// wantEnd expects nothing but the trailer.
func wantEnd(t *testing.T, ans *http.Response) {
	t.Helper()
	rest, err := io.ReadAll(ans.Body)
	ans.Body.Close()
	if len(rest) != 0 || err != nil {
		t.Errorf("the answer goes on with %q, %v", rest, err)
	}
	for key, want := range map[string]string{"Grpc-Status": "0", "Grpc-Message": "as it is", "Details-Bin": "AAEC"} {
		if got := ans.Trailer.Get(key); got != want {
			t.Errorf("the trailer's %s is %q, want %q", key, got, want)
		}
	}
}

func TestGRPCUnary(t *testing.T) {
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			h := r.Header
			if r.ProtoMajor != 2 || h.Get("Te") != "trailers" || h.Get("Content-Type") != "application/grpc+proto" ||
				h.Get("Grpc-Timeout") != "5S" || h.Get("Authorization") != "Bearer token1" {
				t.Errorf("the upstream saw %s %v", r.Proto, h)
			}
			wantMessage(t, r.Body, "question")
			if rest, err := io.ReadAll(r.Body); len(rest) != 0 || err != nil {
				t.Errorf("the request goes on with %q, %v", rest, err)
			}
			io.WriteString(w, grpcMessageOf("answer"))
			endCall(w, "0")
		}}
		c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		in, out := io.Pipe()
		go func() {
			io.WriteString(out, grpcMessageOf("question"))
			out.Close()
		}()
		ans := c.call(t, "/svc/Unary", in, "Grpc-Timeout", "5S")
		wantMessage(t, ans.Body, "answer")
		wantEnd(t, ans)
	})
}

func TestGRPCClientStreaming(t *testing.T) {
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			for i := range 10 {
				wantMessage(t, r.Body, fmt.Sprint(i))
				if late := time.Since(start) - time.Duration(i)*time.Second; late != 0 {
					t.Errorf("message %d came %v late", i, late)
				}
			}
			io.WriteString(w, grpcMessageOf("ten"))
			endCall(w, "0")
		}}
		c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		settled() // the token is here
		in, out := io.Pipe()
		go func() {
			for i := range 10 {
				if i > 0 {
					time.Sleep(time.Second)
				}
				io.WriteString(out, grpcMessageOf(fmt.Sprint(i)))
			}
			out.Close()
		}()
		ans := c.call(t, "/svc/Upload", in)
		wantMessage(t, ans.Body, "ten")
		wantEnd(t, ans)
	})
}

func TestGRPCServerStreaming(t *testing.T) {
	eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			for i := range 10 {
				io.WriteString(w, grpcMessageOf(fmt.Sprint(i)))
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
			endCall(w, "0")
		}}
		c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		settled() // the token is here
		start := time.Now()
		ans := c.call(t, "/svc/Watch", http.NoBody)
		for i := range 10 {
			wantMessage(t, ans.Body, fmt.Sprint(i))
			if late := time.Since(start) - time.Duration(i)*time.Second; late != 0 {
				t.Errorf("message %d came %v late", i, late)
			}
		}
		wantEnd(t, ans)
	})
}

// TestGRPCConversation: each side waits for the other a hundred times, whoever
// begins.
func TestGRPCConversation(t *testing.T) {
	for _, serverFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("serverFirst=%v", serverFirst), func(t *testing.T) {
			eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
				up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
					if serverFirst {
						w.(http.Flusher).Flush() // the head alone
					}
					for i := range 100 {
						wantMessage(t, r.Body, fmt.Sprint("ping", i))
						io.WriteString(w, grpcMessageOf(fmt.Sprint("pong", i)))
						w.(http.Flusher).Flush()
					}
					endCall(w, "0")
				}}
				c := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
				settled() // the token is here
				in, out := io.Pipe()
				defer out.Close()
				send := func(i int) { io.WriteString(out, grpcMessageOf(fmt.Sprint("ping", i))) }
				start := time.Now()
				if !serverFirst {
					go send(0)
				}
				ans := c.call(t, "/svc/Talk", in)
				if waited := time.Since(start); waited > endDelay {
					t.Errorf("the head came after %v", waited)
				}
				for i := range 100 {
					if serverFirst || i > 0 {
						send(i)
					}
					wantMessage(t, ans.Body, fmt.Sprint("pong", i))
				}
				wantEnd(t, ans)
				if took := time.Since(start); took > endDelay {
					t.Errorf("the conversation took %v", took)
				}
			})
		})
	}
}

// TestGRPCClientThatLeaves: the upstream learns of it at once, and the token is
// let go.
func TestGRPCClientThatLeaves(t *testing.T) {
	for _, where := range []string{"before the head", "while the head is held", "between messages"} {
		t.Run(where, func(t *testing.T) {
			eachGRPCRoute(t, func(t *testing.T, plan *testPlan) {
				ended := make(chan time.Time, 1)
				up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
					switch where {
					case "while the head is held":
						w.(http.Flusher).Flush()
					case "between messages":
						io.WriteString(w, grpcMessageOf("one"))
						w.(http.Flusher).Flush()
					}
					<-r.Context().Done()
					ended <- time.Now()
				}}
				user := userPlan()
				user.trailers, user.judge = plan.trailers, plan.judge
				slot := userSlot(t, &source{t: t, fetch: perUser}, refresher.Limits{Max: 1})
				c := inMemory(t, sides{true, true}, user, up, &counters{}, slot)
				ctx, leave := context.WithCancel(t.Context())
				delay := time.Second
				if where == "while the head is held" {
					delay = endDelay / 2
				}
				left := time.Now().Add(delay)
				in, out := io.Pipe() // the client has more to say
				time.AfterFunc(delay, func() {
					leave()
					out.CloseWithError(context.Canceled) // net/http looks at ctx only between two reads
				})
				ans, err := c.try(ctx, "POST", "/svc/Talk", in, "Content-Type", "application/grpc", "X-User", "ann")
				if err == nil {
					_, err = io.ReadAll(ans.Body)
					ans.Body.Close()
				}
				if err == nil {
					t.Error("the answer is whole")
				}
				if at := <-ended; !at.Equal(left) {
					t.Errorf("the upstream learned of it %v late", at.Sub(left))
				}
				settled()
				up.handler = func(w http.ResponseWriter, r *http.Request) { endCall(w, "0") }
				ans = c.call(t, "/svc/Method", http.NoBody, "X-User", "bob")
				ans.Body.Close()
				if got := ans.Header.Get("Grpc-Status") + ans.Trailer.Get("Grpc-Status"); got == "8" {
					t.Error("the token of the client that left is still held")
				}
			})
		})
	}
}

// TestOwnAnswersToGRPC are trailers alone: a head that ends the stream, with a
// status of gRPC.
func TestOwnAnswersToGRPC(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		header     []string
		path       string
		change     func(*testPlan)
		guard      bool
	}{
		{name: "no token", want: "14", header: []string{"X-User", "broken"}},
		{name: "a bad parameter", want: "3", header: []string{"X-User", "bad"}},
		{name: "too many users", want: "8", header: []string{"X-User", "bob"}},
		{name: "no route", want: "12", path: "/other"},
		{name: "a foreign page", want: "16", header: []string{"Origin", "https://evil.example"}, guard: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := userPlan()
				params := plan.params
				plan.params = func(h exchange.Head) (refresher.Params, error) {
					if h.Header.Get("X-User") == "bad" {
						return nil, &exchange.ParamError{Name: header("X-User")}
					}
					return params(h)
				}
				src := &source{t: t, fetch: func(n int, in refresher.Input) (refresher.Token, error) {
					if in.Params[0] == "broken" {
						return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: io.EOF}
					}
					return perUser(n, in)
				}}
				slot := userSlot(t, src, refresher.Limits{LoginsPerMinute: 1})
				rt := fakeTransport(func(*http.Request) (*http.Response, error) { return respond(200, ""), nil })
				var h http.Handler = newProxy(t, plan, rt, []Slot{slot}, func(r *Route) { r.Path = "/svc" })
				if tc.guard {
					h = Guard{Loopback: true}.Wrap(h)
				}
				if tc.name == "too many users" {
					get(h, "/svc", "X-User", "ann")
				}
				tr := &http.Transport{Protocols: protocols(true), DialContext: listenMemory(t, h, true)}
				t.Cleanup(tr.CloseIdleConnections)
				c := &memoryClient{http: &http.Client{Transport: tr}, base: "http://localhost"}
				path := "/svc/Method"
				if tc.path != "" {
					path = tc.path
				}
				ans := c.call(t, path, http.NoBody, tc.header...)
				text, err := io.ReadAll(ans.Body)
				ans.Body.Close()
				if ans.StatusCode != 200 || ans.Header.Get("Content-Type") != "application/grpc" || ans.Header.Get("Grpc-Status") != tc.want {
					t.Errorf("status %d, %v, want gRPC's %s", ans.StatusCode, ans.Header, tc.want)
				}
				if len(text) != 0 || err != nil || len(ans.Trailer) != 0 || ans.ContentLength > 0 {
					t.Errorf("after the head come %q, %v, %v", text, ans.Trailer, err)
				}
			})
		})
	}
}

// A server that gives a call up once its time is over resets the stream. To the
// client that is no fault of the server.
func TestGRPCCallWhoseTimeIsOver(t *testing.T) {
	for wait, want := range map[time.Duration]string{time.Second: "4", 500 * time.Millisecond: "14"} {
		synctest.Test(t, func(t *testing.T) {
			up := &grpcUpstream{handler: func(http.ResponseWriter, *http.Request) {
				time.Sleep(wait)
				panic(http.ErrAbortHandler)
			}}
			c := inMemory(t, sides{true, true}, &testPlan{}, up, &counters{}, quickSlot(t, &source{t: t}))
			ans := c.call(t, "/svc/Slow", http.NoBody, "Grpc-Timeout", "1S")
			if got := ans.Header.Get("Grpc-Status"); got != want {
				t.Errorf("reset after %v of a second: status %q, want %s", wait, got, want)
			}
			ans.Body.Close()
		})
	}
}
