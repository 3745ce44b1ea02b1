package proxy

import (
	"net"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// rawPair starts a proxy on the express lane between a client and an upstream that
// allocate nothing. It returns what sends a request and reads its answer.
func rawPair(tb testing.TB, plan Plan, slots []Slot, request, answer string) (exchange func()) {
	tb.Helper()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { up.Close() })
	go func() {
		for {
			c, err := up.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf, out := make([]byte, 4<<10), []byte(answer)
				for { // a request comes in one piece
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	upstream := mustURL(tb, "http://"+up.Addr().String())
	transport, err := NewTransport(TransportConfig{Upstream: upstream, HeaderTimeout: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(transport.Close)
	p, err := New(Config{Routes: []Route{{Name: "api", Upstream: upstream, Plan: plan, Slots: slots, Wait: time.Second, Transport: transport}}})
	if err != nil {
		tb.Fatal(err)
	}
	conn := dialExpress(tb, &Front{Proxy: p, Guard: &Guard{Loopback: true}})
	out, buf := []byte(request), make([]byte, len(answer)+1000)
	return func() {
		if _, err := conn.Write(out); err != nil {
			tb.Fatal(err)
		}
		if n, err := conn.Read(buf); err != nil || string(buf[:15]) != "HTTP/1.1 200 OK" {
			tb.Fatalf("%q, %v", buf[:n], err)
		}
	}
}

// dialExpress serves a front on loopback until the test ends, and connects to it.
func dialExpress(tb testing.TB, f *Front) net.Conn {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	x := NewExpress(roomy, roomy.Server(f.Handler()), nil, nil)
	x.Show(f)
	bounded := roomy.Listener(l)
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.Serve(bounded)
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		conn.Close()
		bounded.Close()
		x.Close()
		<-done
	})
	return conn
}

const (
	plainRequest = "GET /v1/items?page=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: app/1\r\nAccept: */*\r\nAuthorization: Bearer own\r\n\r\n"
	plainAnswer  = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
)

// TestExpressAllocations: a plain request with a fresh token costs two allocations from
// its first byte to the last of its answer, the texts of the two heads; and no
// goroutine.
func TestExpressAllocations(t *testing.T) {
	exchange := rawPair(t, memoPlan{bearerPlan()}, []Slot{freshSlot(t)}, plainRequest, plainAnswer)
	exchange()
	// The least counts, because what other tests have left running allocates as well.
	// The race detector makes every sync.Pool lose at random what it is given, so that
	// only single requests may go without.
	measurements, runs := 20, 200
	if underRace() {
		measurements, runs = 2000, 1
	}
	least := testing.AllocsPerRun(runs, exchange)
	for i := 1; i < measurements && least > 2; i++ {
		least = min(least, testing.AllocsPerRun(runs, exchange))
	}
	if least > 2 {
		t.Errorf("%v allocations", least)
	}
}

// underRace reports whether the race detector watches.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// BenchmarkExpress is a request on the express lane, with client and upstream in the
// same process.
func BenchmarkExpress(b *testing.B) {
	exchange := rawPair(b, memoPlan{bearerPlan()}, []Slot{freshSlot(b)}, plainRequest, plainAnswer)
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}
