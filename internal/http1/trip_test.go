package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/rawio"
)

// echoing answers each request on the connections of l with its target.
func echoing(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go echo(c)
	}
}

func echo(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.RequestURI), r.RequestURI)
	}
}

// ask makes a trip with a request for path, sent at now as far as it knows.
func ask(ctx context.Context, c *Client, t *Trip, path string, now time.Time) (string, error) {
	m := &Message{Wire: func() []byte { return []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n") }, Sent: func() {}, Method: "GET", Now: now, HeaderTimeout: time.Minute}
	if err := c.Send(ctx, t, m); err != nil {
		return "", err
	}
	var body []byte
	for t.Left() > 0 {
		p, err := t.Next()
		if err != nil {
			return "", err
		}
		body = append(body, p...)
	}
	t.Done(time.Now())
	return string(body), nil
}

// TestTripThatIsLate: between the moment that a trip takes for the present and the
// one when it sends, a busy machine may let any time pass.
func TestTripThatIsLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go echoing(l)
	dialed := 0
	c := New(Config{Dial: func(ctx context.Context) (net.Conn, error) {
		dialed++
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		return rawio.Wrap(conn), nil
	}})
	defer c.Close()
	var trip Trip
	for i := range 3 {
		path := fmt.Sprint("/", i)
		if got, err := ask(t.Context(), c, &trip, path, time.Now().Add(-time.Second)); got != path || err != nil {
			t.Errorf("request %d: %q, %v", i, got, err)
		}
	}
	if dialed != 1 {
		t.Errorf("%d connections", dialed)
	}
}

// TestTripAfterSlowDial: connecting takes nothing from the time for the answer.
func TestTripAfterSlowDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Dial: func(context.Context) (net.Conn, error) {
			time.Sleep(2 * time.Minute)
			client, server := net.Pipe()
			go echo(server)
			return client, nil
		}})
		defer c.Close()
		if got, err := ask(t.Context(), c, new(Trip), "/x", time.Now()); got != "/x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}
