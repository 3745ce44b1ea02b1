package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// modes are what the upstream of the stress test may do with a request.
var modes = []string{"plain", "plain", "chunked", "early", "early-close", "close", "extra", "cut", "interim", "drip", "until-close", "head-only", "reset", "swallow", "continue", "half"}

// play serves one connection: what it does with a request the request says.
func play(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		id, mode := req.Header.Get("Id"), req.Header.Get("Mode")
		head := "HTTP/1.1 200 OK\r\nId: " + id + "\r\n"
		whole := head + "Content-Length: " + strconv.Itoa(len(id)) + "\r\n\r\n" + id
		say := func(text string) bool { _, err := io.WriteString(conn, text); return err == nil }
		if strings.HasPrefix(mode, "early") {
			if !say(whole) || mode == "early-close" {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			continue
		}
		if mode == "continue" {
			say("HTTP/1.1 100 Continue\r\n\r\n")
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		fine := true
		switch mode {
		case "chunked":
			fine = say(head + "Transfer-Encoding: chunked\r\nTrailer: Tail\r\n\r\n1;a=b\r\n" + id[:1] + "\r\n")
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			fine = fine && say(fmt.Sprintf("%x\r\n%s\r\n0\r\nTail: %s\r\n\r\n", len(id)-1, id[1:], id))
		case "close":
			say(head + "Connection: close\r\nContent-Length: " + strconv.Itoa(len(id)) + "\r\n\r\n" + id)
			return
		case "extra":
			fine = say(whole + "HTTP/1.1 200 OK\r\nId: evil\r\nContent-Length: 4\r\n\r\nevil")
		case "cut":
			say(whole[:rand.IntN(len(whole))])
			return
		case "interim":
			for range rand.IntN(150) {
				fine = fine && say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
			}
			fine = fine && say(whole)
		case "drip":
			for i := range len(whole) {
				if fine = fine && say(whole[i:i+1]); i%16 == 0 {
					time.Sleep(10 * time.Microsecond)
				}
			}
		case "until-close":
			say(head + "\r\n" + id)
			return
		case "head-only":
			say(head + "Content-Length: 1000\r\n\r\n" + id)
			time.Sleep(time.Millisecond)
			return
		case "reset":
			if c, ok := conn.(*net.TCPConn); ok {
				c.SetLinger(0)
			}
			return
		case "swallow":
			return
		case "half":
			fine = say(whole)
			if c, ok := conn.(*net.TCPConn); ok {
				c.CloseWrite()
			}
		default:
			fine = say(whole)
		}
		if !fine {
			return
		}
	}
}

// TestNoAnswerIsSomebodyElses: whatever upstream, client and context do to one
// request, every answer belongs to its request, and in the end nothing is left
// over.
func TestNoAnswerIsSomebodyElses(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) { mix(t, secure) })
	}
}

func mix(t *testing.T, secure bool) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	certificate.Close()
	settings := certificate.TLS
	trust := x509.NewCertPool()
	trust.AddCert(certificate.Certificate())
	before := runtime.NumGoroutine()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	var open, unclosed atomic.Int64
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			served.Go(func() {
				defer open.Add(-1)
				if secure {
					conn = tls.Server(conn, settings)
				}
				play(conn)
			})
		}
	})
	c := New(Config{MaxIdle: 4, Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil || !secure {
			return conn, err
		}
		over := tls.Client(conn, &tls.Config{RootCAs: trust, ServerName: "example.com"})
		if err := over.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return over, nil
	}})
	var workers sync.WaitGroup
	var whole, failed atomic.Int64
	for w := range 8 {
		workers.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for i := range 30 {
				id := fmt.Sprintf("id-%d-%d-%s", w, i, strings.Repeat("x", rnd.IntN(40)))
				if stress(t, c, rnd, id, &unclosed) {
					whole.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	workers.Wait()
	c.CloseIdle()
	l.Close()
	served.Wait()
	for range 100 {
		if runtime.NumGoroutine() <= before && unclosed.Load() == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Log(whole.Load(), "answers,", failed.Load(), "failures")
	if n := runtime.NumGoroutine(); n > before || unclosed.Load() != 0 || open.Load() != 0 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines of %d, %d bodies, %d connections are left\n%s", n, before, unclosed.Load(), open.Load(), buf[:runtime.Stack(buf, true)])
	}
}

// slowBody is a body that takes its time and says when it was closed.
type slowBody struct {
	left     int
	rnd      *rand.Rand
	closed   chan struct{}
	once     sync.Once
	unclosed *atomic.Int64
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.rnd.IntN(4) == 0 {
		select {
		case <-b.closed:
			return 0, io.ErrClosedPipe
		case <-time.After(time.Duration(b.rnd.IntN(15)) * time.Millisecond):
		}
	}
	n := min(len(p), b.left, 1+b.rnd.IntN(20000))
	for i := range p[:n] {
		p[i] = 'b'
	}
	b.left -= n
	return n, nil
}

func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed); b.unclosed.Add(-1) })
	return nil
}

func stress(t *testing.T, c *Client, rnd *rand.Rand, id string, unclosed *atomic.Int64) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rnd.IntN(3) == 0 {
		timer := time.AfterFunc(time.Duration(rnd.IntN(3000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	mode := modes[rnd.IntN(len(modes))]
	method := []string{"GET", "POST", "PUT", "DELETE"}[rnd.IntN(4)]
	u := &url.URL{Scheme: "http", Host: "up.example", Path: "/"}
	r := (&http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{"Id": {id}, "Mode": {mode}}}).WithContext(ctx)
	if method != "GET" && rnd.IntN(3) > 0 {
		size := 1 + rnd.IntN(60000)
		body := func() (io.ReadCloser, error) {
			unclosed.Add(1)
			return &slowBody{left: size, rnd: rand.New(rand.NewPCG(rnd.Uint64(), 1)), closed: make(chan struct{}), unclosed: unclosed}, nil
		}
		r.Body, _ = body()
		if rnd.IntN(2) == 0 {
			r.GetBody = body
		}
		if r.ContentLength = int64(size); rnd.IntN(2) == 0 {
			r.ContentLength = -1
		}
		if rnd.IntN(4) == 0 {
			r.Header["Expect"] = []string{"100-continue"}
		}
	}
	ans, err := c.Do(r, Options{HeaderTimeout: time.Second, OnInterim: func(int, http.Header) {}})
	if err != nil {
		return false
	}
	if got := ans.Header.Get("Id"); got != id {
		t.Errorf("%s: the answer is that of %q", id, got)
	}
	switch rnd.IntN(4) {
	case 0:
		ans.Body.Close()
		return true
	case 1:
		go ans.Body.Close()
	}
	text, err := io.ReadAll(ans.Body)
	ans.Body.Close()
	if err == nil && string(text) != id {
		t.Errorf("%s, %s: the body is %q", id, mode, text)
	}
	return err == nil
}
