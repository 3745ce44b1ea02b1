package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestUploads: bodies of all sizes arrive whole, and the connection is used
// again.
func TestUploads(t *testing.T) {
	for _, size := range []int{1, 1000, 20 << 10, uploadSize - 100, uploadSize, uploadSize + 1, 300 << 10} {
		for _, chunked := range []bool{false, true} {
			for _, piece := range []int{1 << 20, 777} {
				synctest.Test(t, func(t *testing.T) {
					text := strings.Repeat("0123456789", size/10+1)[:size]
					n := &network{serve: []func(net.Conn){func(conn net.Conn) {
						r := bufio.NewReader(conn)
						for {
							req, got, err := swallow(r)
							if err != nil {
								return
							}
							if got != text || chunked != (len(req.TransferEncoding) > 0) || chunked && req.Trailer.Get("X-Sum") != "5" {
								t.Errorf("%d bytes, %v, %v", len(got), req.TransferEncoding, req.Trailer)
							}
							io.WriteString(conn, ok)
						}
					}}}
					c, end := n.client(Config{})
					defer end()
					for range 2 {
						r := request(t.Context(), "POST", text, "X-Long", strings.Repeat("x", size%20000))
						r.Body = io.NopCloser(&scripted{text: text, piece: piece})
						if chunked {
							r.ContentLength, r.Trailer = -1, http.Header{"X-Sum": {"5"}}
						}
						if _, got, err := fetch(c, r); got != "ok" || err != nil {
							t.Fatalf("%q, %v", got, err)
						}
						synctest.Wait()
					}
					if n.dialed != 1 {
						t.Errorf("%d connections", n.dialed)
					}
				})
			}
		}
	}
}

// TestFullDuplex: the answer arrives while the body is still sent, and answers
// piece by piece.
func TestFullDuplex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			r := bufio.NewReader(conn)
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for {
				p := make([]byte, 100)
				m, err := req.Body.Read(p)
				if m > 0 {
					fmt.Fprintf(conn, "%x\r\n%s\r\n", m, p[:m])
				}
				if err != nil {
					break
				}
			}
			io.WriteString(conn, "0\r\n\r\n")
			io.Copy(io.Discard, r)
		}}}
		c, end := n.client(Config{})
		defer end()
		r := request(t.Context(), "POST", "")
		src, in := io.Pipe()
		r.Body, r.ContentLength = src, -1
		ans, err := c.Do(r, Options{}) // though no byte of the body was given
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "two"} {
			io.WriteString(in, word)
			p := make([]byte, 10)
			if m, err := io.ReadFull(ans.Body, p[:3]); string(p[:m]) != word || err != nil {
				t.Fatalf("%q, %v", p[:m], err)
			}
		}
		in.Close()
		if rest, err := io.ReadAll(ans.Body); len(rest) != 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		synctest.Wait()
		if c.idleCount() != 1 {
			t.Error("the connection is not kept")
		}
	})
}

// TestEarlyAnswer: an answer that is complete before the body ends the upload,
// and the connection is not used again, whatever the client still sends.
func TestEarlyAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"empty":   "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
		"counted": ok,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				n := &network{serve: []func(net.Conn){func(conn net.Conn) {
					r := bufio.NewReader(conn)
					http.ReadRequest(r)
					io.WriteString(conn, answer)
					io.Copy(io.Discard, r)
					close(ended)
				}}}
				c, end := n.client(Config{})
				defer end()
				r := request(t.Context(), "POST", "")
				src, in := io.Pipe()
				r.Body, r.ContentLength = src, 1<<20
				go in.Write([]byte("begun"))
				start := time.Now()
				if _, _, err := fetch(c, r); err != nil || time.Since(start) != 0 {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				<-ended
				if c.idleCount() != 0 {
					t.Error("the connection is kept")
				}
				in.Close() // what reads the body ends with its read
			})
		})
	}
}

// TestUploadThatEndsAfterTheAnswer: it has a moment to do so, and the connection
// is used again.
func TestUploadThatEndsAfterTheAnswer(t *testing.T) {
	for wait, kept := range map[time.Duration]int{uploadGrace - 1: 1, uploadGrace + 1: 0} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{serve: []func(net.Conn){func(conn net.Conn) {
				r := bufio.NewReader(conn)
				http.ReadRequest(r)
				io.WriteString(conn, ok)
				io.Copy(io.Discard, r)
			}}}
			c, end := n.client(Config{})
			defer end()
			ctx, cancel := context.WithCancel(t.Context())
			r := request(ctx, "POST", "")
			src, in := io.Pipe()
			r.Body, r.ContentLength = src, 5
			in2 := make(chan struct{})
			go func() {
				in.Write([]byte("1"))
				<-in2
				time.Sleep(wait)
				in.Write([]byte("2345"))
			}()
			if _, _, err := fetch(c, r); err != nil {
				t.Error(err)
			}
			cancel() // the request is over, which is no reason to end the upload
			close(in2)
			time.Sleep(time.Second)
			if c.idleCount() != kept {
				t.Errorf("%d connections are kept, want %d", c.idleCount(), kept)
			}
			in.Close()
		})
	}
}

// TestBodyThatFails: its error is the request's, and nothing that looks whole
// reaches the upstream.
func TestBodyThatFails(t *testing.T) {
	for _, length := range []int64{-1, 10} {
		synctest.Test(t, func(t *testing.T) {
			own := errors.New("the client is gone")
			n := &network{serve: []func(net.Conn){func(conn net.Conn) {
				if _, _, err := swallow(bufio.NewReader(conn)); err == nil {
					t.Error("the upstream got a whole request")
				}
			}}}
			c, end := n.client(Config{})
			defer end()
			r := request(t.Context(), "PUT", "")
			src, in := io.Pipe()
			r.Body, r.ContentLength = src, length
			r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("no") }
			go func() {
				in.Write([]byte("12345"))
				in.CloseWithError(own)
			}()
			if _, err := c.Do(r, Options{}); err != own {
				t.Errorf("the error is %v", err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) { swallow(bufio.NewReader(conn)) }}}
		c, end := n.client(Config{})
		defer end()
		r := request(t.Context(), "PUT", "short")
		r.ContentLength = 10
		if _, err := c.Do(r, Options{}); err != io.ErrUnexpectedEOF {
			t.Errorf("the error of a short body is %v", err)
		}
	})
}

// TestHeadDoesNotWaitForTheBody: not for long, that is.
func TestHeadDoesNotWaitForTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var headAt, endAt time.Duration
		start := time.Now()
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			r := bufio.NewReader(conn)
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			headAt = time.Since(start)
			text, _ := io.ReadAll(req.Body)
			if endAt = time.Since(start); string(text) != "late" {
				t.Errorf("%q", text)
			}
			io.WriteString(conn, ok)
			io.Copy(io.Discard, r)
		}}}
		c, end := n.client(Config{})
		defer end()
		r := request(t.Context(), "POST", "")
		src, in := io.Pipe()
		r.Body, r.ContentLength = src, 4
		go func() {
			time.Sleep(time.Minute)
			in.Write([]byte("late"))
		}()
		if _, _, err := fetch(c, r); err != nil || headAt != headDelay || endAt != time.Minute {
			t.Errorf("%v; the head came after %v, the body after %v", err, headAt, endAt)
		}
	})
}

// TestExpect: the body waits for leave, but not for ever, and is not sent after
// a final answer.
func TestExpect(t *testing.T) {
	for _, tc := range []struct {
		name, first string
		after       time.Duration // until the first answer
		sentAt      time.Duration // -1: never
		status      int
	}{
		{"leave", "HTTP/1.1 100 Continue\r\n\r\n", 300 * time.Millisecond, 300 * time.Millisecond, 200},
		{"no word", "", 0, continueWait, 200},
		{"refused", "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", 300 * time.Millisecond, -1, 417},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, sentAt := time.Now(), time.Duration(-1)
				n := &network{serve: []func(net.Conn){func(conn net.Conn) {
					r := bufio.NewReader(conn)
					req, err := http.ReadRequest(r)
					if err != nil || req.Header.Get("Expect") != "100-continue" {
						t.Errorf("%v, %v", req, err)
						return
					}
					time.Sleep(tc.after)
					io.WriteString(conn, tc.first)
					if tc.sentAt < 0 {
						if _, err := r.ReadByte(); err != io.EOF {
							t.Errorf("the body was sent: %v", err)
						}
						return
					}
					if text, err := io.ReadAll(req.Body); string(text) != "text" || err != nil {
						t.Errorf("%q, %v", text, err)
					}
					io.WriteString(conn, ok)
					io.Copy(io.Discard, r)
				}}}
				c, end := n.client(Config{})
				defer end()
				r := request(t.Context(), "POST", "text", "Expect", "100-continue")
				r.Body = &noting{Reader: r.Body, read: func() {
					if sentAt < 0 {
						sentAt = time.Since(start)
					}
				}}
				ans, _, err := fetch(c, r)
				if err != nil || ans.StatusCode != tc.status || sentAt != tc.sentAt {
					t.Errorf("%v, %v; the body was read after %v", ans, err, sentAt)
				}
				synctest.Wait()
				if kept := c.idleCount() == 1; kept != (tc.sentAt >= 0) {
					t.Errorf("the connection is kept: %t", kept)
				}
			})
		})
	}
}

// noting calls a function at each read.
type noting struct {
	io.Reader
	read   func()
	closed atomic.Bool
}

func (n *noting) Read(p []byte) (int, error) {
	n.read()
	return n.Reader.Read(p)
}

func (n *noting) Close() error {
	n.closed.Store(true)
	return nil
}

// TestAnswerToHalfARequest: the upstream answers and then takes no more. The
// client gets that answer, not the error of writing.
func TestAnswerToHalfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Dial: func(context.Context) (net.Conn, error) {
			return &deaf{scripted: scripted{text: "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", piece: 100}, takes: 1}, nil
		}})
		r := request(t.Context(), "POST", strings.Repeat("x", 100<<10))
		if ans, _, err := fetch(c, r); err != nil || ans.StatusCode != 413 || c.idleCount() != 0 {
			t.Errorf("%v, %v", ans, err)
		}
	})
}

// deaf fails all writes but the first few.
type deaf struct {
	scripted
	takes int
}

func (d *deaf) Write(p []byte) (int, error) {
	if d.takes--; d.takes < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

func (d *deaf) Read(p []byte) (int, error) {
	time.Sleep(time.Second) // after the upload has failed
	return d.scripted.Read(p)
}

// TestBodyIsClosed: whatever becomes of the request.
func TestBodyIsClosed(t *testing.T) {
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"answered": func(context.Context) (net.Conn, error) { return &scripted{text: ok, piece: 100}, nil },
		"no connection": func(context.Context) (net.Conn, error) {
			return nil, errors.New("no")
		},
		"cannot be written": func(context.Context) (net.Conn, error) { return &deaf{}, nil },
		"no answer":         func(context.Context) (net.Conn, error) { return &scripted{}, nil },
	} {
		for _, expect := range []string{"", "100-continue"} {
			synctest.Test(t, func(t *testing.T) {
				r := request(t.Context(), "POST", "text", "Expect", expect)
				body := &noting{Reader: r.Body, read: func() {}}
				r.Body = body
				fetch(New(Config{Dial: dial}), r)
				synctest.Wait()
				if !body.closed.Load() {
					t.Errorf("%s: the body stays open", name)
				}
			})
		}
	}
}

// TestOneWrite: a short body leaves together with the head. With TLS they are
// one record.
func TestOneWrite(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"from a goroutine": strings.NewReader("text"),
		"at hand":          atHand{strings.NewReader("text")},
	} {
		rec := &recorder{}
		c := New(Config{Dial: func(context.Context) (net.Conn, error) { return rec, nil }})
		r := request(t.Context(), "POST", "text")
		r.Body = io.NopCloser(body)
		if a, ok := body.(atHand); ok {
			r.Body = a
		}
		r.Header["X"] = []string{"y"}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Do(r, Options{})
		}()
		for !strings.HasSuffix(rec.String(), "text") {
			time.Sleep(time.Millisecond)
		}
		rec.mu.Lock()
		rec.text.WriteString("abc")
		if rec.writes != 1 {
			t.Errorf("%s: %d writes", name, rec.writes)
		}
		rec.mu.Unlock()
		<-done
	}
}

type atHand struct{ *strings.Reader }

func (a atHand) Ready() int64 { return int64(a.Len()) }
func (a atHand) Close() error { return nil }

// TestBrokenRequestWithoutAnswer: nobody waits long for an answer to a request
// that could not be written.
func TestBrokenRequestWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) { io.Copy(io.Discard, conn) }}}
		c := New(Config{Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := n.dial(ctx)
			return &mute{Conn: conn, takes: 1}, err
		}})
		start := time.Now()
		_, err := c.Do(request(t.Context(), "PUT", strings.Repeat("x", 100<<10)), Options{})
		if err != errMute || time.Since(start) != lateAnswer {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		n.served.Wait()
	})
}

var errMute = errors.New("broken pipe")

// mute fails all writes but the first few.
type mute struct {
	net.Conn
	takes int
}

func (m *mute) Write(p []byte) (int, error) {
	if m.takes--; m.takes < 0 {
		return 0, errMute
	}
	return m.Conn.Write(p)
}

// TestUnwrittenRequest: the connection ended before anything was written to it,
// so the request is sent again, whatever its method.
func TestUnwrittenRequest(t *testing.T) {
	for _, name := range []string{"closed while the body is waited for", "not writable"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: []func(net.Conn){
					func(conn net.Conn) {
						swallow(bufio.NewReader(conn))
						io.WriteString(conn, ok)
						if name == "not writable" {
							io.Copy(io.Discard, conn)
						}
					},
					answering(ok),
				}}
				c := New(Config{Dial: func(ctx context.Context) (net.Conn, error) {
					if Repeated(ctx) {
						t.Error("the request counts as sent")
					}
					conn, err := n.dial(ctx)
					if name == "not writable" && n.dialed == 1 {
						return &mute{Conn: conn, takes: 1}, err
					}
					return conn, err
				}})
				fetch(c, request(t.Context(), "GET", ""))
				r := request(t.Context(), "POST", "text")
				src, in := io.Pipe()
				if name != "not writable" {
					r.Body = src
				}
				if _, text, err := fetch(c, r); text != "ok" || err != nil || n.dialed != 2 {
					t.Errorf("%q, %v, %d connections", text, err, n.dialed)
				}
				in.Close()
				c.CloseIdle()
				n.served.Wait()
			})
		})
	}
}

// TestGraceThatIsOver: its end hits no connection that somebody else may use.
func TestGraceThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{})
		client, server := net.Pipe()
		u := &upload{client: c, conn: newConn(client, &c.buffers)}
		u.answered()
		time.Sleep(uploadGrace)
		u.sent()
		if c.idleCount() != 0 {
			t.Error("the connection is kept")
		}
		server.Close()
	})
}

// TestUpstreamThatTakesNothing: it is not waited for longer than for its answer,
// and not asked again. One that has begun to answer may take its time.
func TestUpstreamThatTakesNothing(t *testing.T) {
	for _, begun := range []bool{false, true} {
		bound := 2 * leastWriteTime
		synctest.Test(t, func(t *testing.T) {
			taken := make(chan int64, 1)
			n := &network{serve: []func(net.Conn){func(conn net.Conn) {
				r := bufio.NewReader(conn)
				swallow(r)
				io.WriteString(conn, ok)
				r.Peek(1)
				if begun {
					go io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
				}
				time.Sleep(bound * 3 / 2)
				if begun {
					req, err := http.ReadRequest(r)
					if err != nil {
						t.Error(err)
						return
					}
					size, _ := io.Copy(io.Discard, req.Body)
					taken <- size
					io.WriteString(conn, "k")
				}
			}, answering(ok)}}
			c, end := n.client(Config{})
			defer end()
			if _, _, err := fetch(c, request(t.Context(), "GET", "")); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			ans, err := c.Do(request(t.Context(), "PUT", strings.Repeat("x", 1<<20)), Options{HeaderTimeout: bound})
			if begun {
				if err != nil {
					t.Fatal(err)
				}
				if size := <-taken; size != 1<<20 {
					t.Errorf("%d bytes", size)
				}
				if text, err := io.ReadAll(ans.Body); string(text) != "ok" || err != nil {
					t.Errorf("%q, %v", text, err)
				}
				return
			}
			late, ok := errors.AsType[net.Error](err)
			if took := time.Since(start); !ok || !late.Timeout() || took != bound+lateAnswer || n.dialed != 1 {
				t.Errorf("%v after %v, %d connections", err, took, n.dialed)
			}
		})
	}
}

// TestStoppedUpload: once the request counts as unwritten nothing of it is
// written.
func TestStoppedUpload(t *testing.T) {
	c, rec := New(Config{}), &recorder{}
	u := &upload{client: c, conn: newConn(rec, &c.buffers), body: io.NopCloser(strings.NewReader("text")), length: 4}
	f := &failure{}
	if u.explain(f); !f.unwritten {
		t.Error("it counts as written")
	}
	u.run()
	if rec.String() != "" {
		t.Errorf("%q was written", rec.String())
	}
}
