package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"

	"github.com/google/go-cmp/cmp"
)

// eachSides runs a test in a bubble for each pair of protocols.
func eachSides(t *testing.T, f func(t *testing.T, s sides)) {
	for _, s := range []sides{{false, false}, {true, true}, {true, false}, {false, true}} {
		t.Run(fmt.Sprintf("client h2=%v, upstream h2=%v", s.client, s.upstream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, s) })
		})
	}
}

// TestEventsArriveAtOnce whether or not rules look into bodies.
func TestEventsArriveAtOnce(t *testing.T) {
	for _, rules := range []bool{false, true} {
		eachSides(t, func(t *testing.T, s sides) {
			plan := &testPlan{bodies: rules, wants: func(_, _ exchange.Head) exchange.BodyWant { return exchange.TextBody }}
			up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				w.(http.Flusher).Flush()
				for i := range 5 {
					time.Sleep(time.Second)
					fmt.Fprintf(w, "data: %d\n\n", i)
					w.(http.Flusher).Flush()
				}
			})
			c := inMemory(t, s, plan, up, &counters{})
			start := time.Now()
			ans := c.do(t, "GET", "/", http.NoBody)
			defer ans.Body.Close()
			if waited := time.Since(start); waited != 0 {
				t.Errorf("the head came after %v", waited)
			}
			events := bufio.NewReader(ans.Body)
			for i := range 5 {
				line, err := events.ReadString('\n')
				if line != fmt.Sprintf("data: %d\n", i) || err != nil {
					t.Fatalf("%q, %v", line, err)
				}
				if late := time.Since(start) - time.Duration(i+1)*time.Second; late != 0 {
					t.Errorf("event %d came %v late", i, late)
				}
				events.ReadString('\n')
			}
			if _, err := events.ReadByte(); err != io.EOF {
				t.Errorf("the stream ends with %v", err)
			}
		})
	}
}

// TestBodiesStreamBothWays: pieces pass one by one, with trailers at the end of
// both.
func TestBodiesStreamBothWays(t *testing.T) {
	eachSides(t, func(t *testing.T, s sides) {
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Sum")
			start := time.Now()
			in := bufio.NewReader(r.Body)
			for i := range 3 {
				line, err := in.ReadString('\n')
				if late := time.Since(start) - time.Duration(i)*time.Second; line != fmt.Sprintln(i) || late != 0 {
					t.Errorf("up came %q, %v, %v late", line, err, late)
				}
			}
			if rest, err := io.ReadAll(in); len(rest) != 0 || err != nil || r.Trailer.Get("Client-Sum") != "c" {
				t.Errorf("the upload ends with %q, %v, %v", rest, err, r.Trailer)
			}
			for i := range 3 {
				if i > 0 {
					time.Sleep(time.Second)
				}
				fmt.Fprintln(w, i)
				w.(http.Flusher).Flush()
			}
			w.Header().Set("Sum", "s")
			w.Header().Set(http.TrailerPrefix+"Unannounced", "u")
		})
		c := inMemory(t, s, &testPlan{}, up, &counters{})
		in, out := io.Pipe()
		r, _ := http.NewRequestWithContext(t.Context(), "POST", c.base+"/", in)
		r.Trailer = http.Header{"Client-Sum": nil}
		go func() {
			for i := range 3 {
				if i > 0 {
					time.Sleep(time.Second)
				}
				fmt.Fprintln(out, i)
			}
			r.Trailer.Set("Client-Sum", "c")
			out.Close()
		}()
		ans, err := c.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer ans.Body.Close()
		start := time.Now()
		back := bufio.NewReader(ans.Body)
		for i := range 3 {
			line, err := back.ReadString('\n')
			if late := time.Since(start) - time.Duration(i)*time.Second; line != fmt.Sprintln(i) || late != 0 {
				t.Errorf("down came %q, %v, %v late", line, err, late)
			}
		}
		if rest, err := io.ReadAll(back); len(rest) != 0 || err != nil {
			t.Errorf("the answer ends with %q, %v", rest, err)
		}
		if ans.Trailer.Get("Sum") != "s" || ans.Trailer.Get("Unannounced") != "u" {
			t.Errorf("the trailer is %v", ans.Trailer)
		}
	})
}

// TestEmptyBodyWithTrailers: over HTTP/2 trailers may even follow a length of 0.
func TestEmptyBodyWithTrailers(t *testing.T) {
	eachSides(t, func(t *testing.T, s sides) {
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.upstream {
				w.Header().Set("Content-Length", "0")
			}
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"Sum", "s")
		})
		ans := inMemory(t, s, &testPlan{}, up, &counters{}).do(t, "GET", "/", http.NoBody)
		text, err := io.ReadAll(ans.Body)
		ans.Body.Close()
		if len(text) != 0 || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if got := ans.Trailer.Get("Sum"); got != "s" && !(s.upstream && !s.client) {
			t.Errorf("the trailer is %v", ans.Trailer)
		}
	})
}

// TestPartsAndHeadsPassAsTheyAre: neither a part of a body nor an answer to HEAD
// is judged by what it holds.
func TestPartsAndHeadsPassAsTheyAre(t *testing.T) {
	eachSides(t, func(t *testing.T, s sides) {
		plan := &testPlan{bodies: true, wants: func(req, ans exchange.Head) exchange.BodyWant {
			t.Errorf("the body of %d to %s is looked at", ans.Status, req.Method)
			return exchange.TextBody
		}}
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "HEAD" {
				w.Header().Set("Content-Length", "123456")
				return
			}
			if r.Header.Get("Range") != "bytes=0-4" {
				t.Errorf("the upstream saw %v", r.Header)
			}
			w.Header().Set("Content-Range", "bytes 0-4/100")
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(206)
			io.WriteString(w, "{\"a\":")
		})
		c := inMemory(t, s, plan, up, &counters{})
		ans := c.do(t, "HEAD", "/", http.NoBody)
		ans.Body.Close()
		if ans.ContentLength != 123456 {
			t.Errorf("HEAD: %d bytes, %v", ans.ContentLength, ans.Header)
		}
		ans = c.do(t, "GET", "/", http.NoBody, "Range", "bytes=0-4")
		text, err := io.ReadAll(ans.Body)
		ans.Body.Close()
		if ans.StatusCode != 206 || ans.Header.Get("Content-Range") != "bytes 0-4/100" || ans.ContentLength != 5 || string(text) != `{"a":` || err != nil {
			t.Errorf("Range: %d, %v, %q, %v", ans.StatusCode, ans.Header, text, err)
		}
	})
}

// TestCookieCrumbsAreJoined: HTTP/2 may send each cookie in a field of its own;
// HTTP/1.1 has one field (RFC 9113 section 8.2.3).
func TestCookieCrumbsAreJoined(t *testing.T) {
	eachSides(t, func(t *testing.T, s sides) {
		plan := &testPlan{
			strip: []exchange.Name{{In: exchange.Cookie, Name: "token"}},
			fields: func(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) []exchange.Field {
				return append(dst, exchange.Field{In: exchange.Cookie, Name: "token", Value: "good"})
			},
		}
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d := cmp.Diff([]string{"a=1; b=2; token=good"}, r.Header["Cookie"]); d != "" {
				t.Error(d)
			}
			if got := r.Header.Get("Te"); got != "trailers" {
				t.Errorf("TE is %q", got)
			}
			if r.ProtoMajor == 1 && !hasToken(r.Header["Connection"], "TE") {
				t.Errorf("Connection is %q and does not name TE", r.Header["Connection"])
			}
		})
		// net/http's HTTP/2 sends crumbs.
		c := inMemory(t, s, plan, up, &counters{})
		ans := c.do(t, "GET", "/", http.NoBody, "Cookie", "a=1; token=evil; b=2", "Te", "trailers")
		ans.Body.Close()
		if ans.StatusCode != 200 {
			t.Errorf("status %d", ans.StatusCode)
		}
	})
}

// TestLeavingClientTakesItsRequestAlong: wherever a client leaves, the upstream
// learns of it at once, the token is let go, and no goroutine is left, which the
// bubble sees to.
func TestLeavingClientTakesItsRequestAlong(t *testing.T) {
	for _, where := range []string{"before the head", "mid-body", "mid-upload", "waiting for a token"} {
		t.Run(where, func(t *testing.T) {
			eachSides(t, func(t *testing.T, s sides) {
				ended := make(chan time.Time, 1)
				up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "HEAD" {
						return
					}
					switch where {
					case "mid-body":
						io.WriteString(w, "some")
						w.(http.Flusher).Flush()
					case "mid-upload":
						io.Copy(io.Discard, r.Body)
					}
					<-r.Context().Done()
					ended <- time.Now()
				})
				src := &source{t: t, fetch: func(n int, in refresher.Input) (refresher.Token, error) {
					if where == "waiting for a token" && in.Params[0] == "ann" {
						time.Sleep(3 * time.Second)
					}
					return perUser(n, in)
				}}
				slot := userSlot(t, src, refresher.Limits{Max: 1})
				c := inMemory(t, s, userPlan(), up, &counters{}, slot)
				ctx, leave := context.WithCancel(t.Context())
				var in io.Reader = http.NoBody
				left := time.Now().Add(time.Second)
				if where == "mid-upload" {
					reader, out := io.Pipe()
					in = reader
					go io.WriteString(out, "some")
					time.AfterFunc(time.Second, func() {
						leave()
						out.CloseWithError(errors.New("gone"))
					})
				} else {
					time.AfterFunc(time.Second, leave)
				}
				ans, err := c.try(ctx, "POST", "/", in, "X-User", "ann")
				if err == nil {
					_, err = io.ReadAll(ans.Body)
					ans.Body.Close()
				}
				if err == nil {
					t.Error("the answer is whole")
				}
				if where != "waiting for a token" {
					if at := <-ended; !at.Equal(left) {
						t.Errorf("the upstream learned of it %v late", at.Sub(left))
					}
				}
				settled()
				ans = c.do(t, "HEAD", "/", http.NoBody, "X-User", "bob")
				ans.Body.Close()
				if ans.StatusCode != 200 {
					t.Errorf("the next user got %d, as if the token were still held", ans.StatusCode)
				}
			})
		})
	}
}
