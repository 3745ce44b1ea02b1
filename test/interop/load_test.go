package interop

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that send requests until they are told to stop, and count
// those that fail. A request fails if it gets anything but the answer that is
// expected.
type load struct {
	sent, failed atomic.Int64
	first        atomic.Pointer[string] // what the first failure was
	stop         chan struct{}
	clients      sync.WaitGroup
}

// request is one kind of request of a load.
type request struct {
	method, url, body string
	want              string // the body of the answer, whose status is 200
}

// newLoad starts clients, each with connections of its own, that send the
// requests in turn until end.
func newLoad(t testing.TB, clients int, requests ...request) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for range clients {
		l.clients.Go(func() {
			// A client that sends a request again by itself would hide a failure.
			client := &http.Client{Timeout: patience, Transport: noRetries{&http.Transport{}}}
			defer client.CloseIdleConnections()
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				r := requests[i%len(requests)]
				l.sent.Add(1)
				if err := r.send(client); err != nil {
					l.failed.Add(1)
					text := fmt.Sprintf("request %d, %s %s: %v", i, r.method, r.url, err)
					l.first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// noRetries keeps net/http from sending a request a second time when a
// connection turns out to be closed: it does that only for requests whose body it
// can read again.
type noRetries struct{ *http.Transport }

func (n noRetries) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.GetBody = nil
	}
	return n.Transport.RoundTrip(r)
}

func (r request) send(client *http.Client) error {
	out, err := http.NewRequest(r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		return err
	}
	answer, err := client.Do(out)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK || string(text) != r.want:
		return fmt.Errorf("status %d, %.300q", answer.StatusCode, text)
	}
	return nil
}

// end stops the clients and waits for them. It may be called more than once.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
}

// check fails the test if a request failed.
func (l *load) check(t testing.TB) {
	t.Helper()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed; the first: %s", n, l.sent.Load(), *l.first.Load())
	}
}

// await waits until the clients have sent n more requests.
func (l *load) await(t testing.TB, n int64) {
	t.Helper()
	until := l.sent.Load() + n
	for deadline := time.Now().Add(patience); l.sent.Load() < until; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests take longer than %v", n, patience)
		}
	}
}
