package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"attache/refresher"
)

// mixedUpstream does what a request's Mode says, and checks that the body is the
// one that belongs to the request's Id.
func mixedUpstream(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, mode := r.Header.Get("Id"), r.Header.Get("Mode")
		w.Header().Set("Id", id)
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token") || len(r.Header["Authorization"]) != 1 {
			t.Errorf("%s: credentials %q", id, r.Header["Authorization"])
		}
		if r.Header.Get("Upgrade") != "" {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nId: %s\r\n\r\n", id)
			io.Copy(conn, rw)
			return
		}
		switch mode {
		case "early":
			io.WriteString(w, id)
			return
		case "abort":
			panic(http.ErrAbortHandler)
		case "interim":
			w.Header().Set("Link", "</a>")
			w.Header()["Content-Length"] = nil // see passInterim
			for range 5 {
				w.WriteHeader(103)
			}
			delete(w.Header(), "Content-Length")
		case "refuse":
			if r.Header.Get("Authorization") == "Bearer token1" || rand.IntN(3) == 0 {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(401)
				return
			}
		}
		text, err := io.ReadAll(r.Body)
		if err == nil && len(text) > 0 && string(text) != strings.Repeat(id, len(text)/len(id)) {
			t.Errorf("%s: foreign body of %d bytes", id, len(text))
		}
		switch mode {
		case "half":
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, id)
			return
		case "stream":
			for range 5 {
				fmt.Fprint(w, id)
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
			return
		}
		// After an interim answer the header stays as it is: net/http may still
		// be reading it.
		grpc := mode != "interim" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
		if grpc {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
			if mode == "slow-end" {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				time.Sleep(time.Duration(15+rand.IntN(10)) * time.Millisecond)
			}
		}
		if mode != "refused-end" {
			io.WriteString(w, id)
		}
		if grpc {
			status := "0"
			if mode == "refused-end" {
				status = "16"
			}
			w.Header().Set("Grpc-Status", status)
			w.Header().Set("Grpc-Message", id)
		}
	}
}

// TestMixedTraffic: under everything at once, with clients that leave at any
// time and an upstream that changes its protocol, no answer and no body is
// somebody else's, and nothing is left over.
func TestMixedTraffic(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	before := runtime.NumGoroutine()
	t.Run("traffic", func(t *testing.T) { mixedTraffic(t, seed) })
	for range 150 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines of %d are left\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

func mixedTraffic(t *testing.T, seed uint64) {
	up := newChoosy(t, mixedUpstream(t))
	up.Config.ErrorLog = log.New(io.Discard, "", 0)
	src := &source{t: t, fetch: numbered}
	slot := addToken(t, startEngine(t), "access", src, func(d *refresher.Definition) { d.Policy.MinInterval = 10 * time.Millisecond })
	rt := up.transport(t, "auto")
	p := newProxy(t, grpcPlan(), rt, []Slot{slot}, func(r *Route) { r.Upstream = mustURL(t, up.URL) })
	b := testBounds()
	b.Connections = 100
	server := b.Server(p)
	server.TLSConfig = &tls.Config{Certificates: up.TLS.Certificates}
	server.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving, workers sync.WaitGroup
	bound := b.Listener(l).(*boundListener)
	front := onLane(b, bound, server, p)
	stop := make(chan struct{})
	serving.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			up.one.Store(i%2 == 0)
			rt.CloseIdleConnections()
			if i%5 == 4 {
				up.CloseClientConnections()
			}
		}
	})
	var fine, failed atomic.Int64
	for w := range 10 {
		workers.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: up.pool, ServerName: "example.com"}, ForceAttemptHTTP2: w%2 == 0}
			defer tr.CloseIdleConnections()
			for i := range 40 {
				if mixedRequest(t, tr, rnd, l.Addr().String(), fmt.Sprintf("id-%d-%d.", w, i)) {
					fine.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	front.shutdown(t.Context())
	serving.Wait()
	rt.CloseIdleConnections()
	up.CloseClientConnections()
	t.Log(fine.Load(), "answers,", failed.Load(), "failures,", src.logins(), "logins")
	for range 100 {
		up.mu.Lock()
		left := up.dial - up.shut
		up.mu.Unlock()
		if left == 0 && len(bound.room) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	t.Errorf("%d of %d connections to the upstream, %d of clients are left", up.dial-up.shut, up.dial, len(bound.room))
}

func mixedRequest(t *testing.T, tr *http.Transport, rnd *rand.Rand, address, id string) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if rnd.IntN(3) == 0 {
		timer := time.AfterFunc(time.Duration(rnd.IntN(6000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	mode := []string{"", "", "early", "abort", "interim", "refuse", "half", "stream", "slow-end", "refused-end"}[rnd.IntN(10)]
	if !tr.ForceAttemptHTTP2 && rnd.IntN(5) == 0 {
		return socketRequest(ctx, t, tr, address, id)
	}
	var body io.Reader
	method := "GET"
	if rnd.IntN(2) == 0 {
		method = []string{"POST", "PUT"}[rnd.IntN(2)]
		text := strings.Repeat(id, 1+rnd.IntN(20000))
		body = strings.NewReader(text)
		if rnd.IntN(2) == 0 {
			body = &trickle{text: text, rnd: rnd}
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+address+"/", body)
	if err != nil {
		t.Error(err)
		return false
	}
	r.Header["Id"], r.Header["Mode"] = []string{id}, []string{mode}
	if rnd.IntN(3) == 0 && method == "POST" {
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
	}
	if rnd.IntN(5) == 0 && body != nil {
		r.Header.Set("Expect", "100-continue")
	}
	ans, err := tr.RoundTrip(r)
	if err != nil {
		return false
	}
	defer ans.Body.Close()
	if got := ans.Header.Get("Id"); got != "" && got != id {
		t.Errorf("%s, %s: the answer is that of %q", id, mode, got)
	}
	if rnd.IntN(5) == 0 {
		return true
	}
	text, err := io.ReadAll(ans.Body)
	if err == nil && ans.Header.Get("Id") != "" && strings.ReplaceAll(string(text), id, "") != "" {
		t.Errorf("%s, %s: %d %q", id, mode, ans.StatusCode, text)
	}
	return err == nil && ans.StatusCode == 200
}

// trickle is a body in pieces.
type trickle struct {
	text string
	rnd  *rand.Rand
}

func (s *trickle) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p, s.text[:min(len(s.text), 1000+len(s.text)/3)])
	s.text = s.text[n:]
	time.Sleep(time.Millisecond)
	return n, nil
}

func socketRequest(ctx context.Context, t *testing.T, tr *http.Transport, address, id string) bool {
	conn, err := (&tls.Dialer{Config: tr.TLSClientConfig}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nId: %s\r\n\r\n", id)
	r := bufio.NewReader(conn)
	ans, err := http.ReadResponse(r, nil)
	if err != nil || ans.StatusCode != 101 {
		return false
	}
	for range 5 {
		io.WriteString(conn, id)
		got := make([]byte, len(id))
		if _, err := io.ReadFull(r, got); err != nil {
			return false
		}
		if string(got) != id {
			t.Errorf("%s: echo %q", id, got)
		}
	}
	return true
}
