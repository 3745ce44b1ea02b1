package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is a client of /api/events in a bubble.
type reader struct {
	t      *testing.T
	status int
	header http.Header
	// leave ends the request, as a client does that goes.
	leave context.CancelFunc
	done  chan struct{} // closed when the handler has returned

	mu       sync.Mutex
	text     strings.Builder
	writes   []time.Time // of the flushes that had something to send
	fresh    bool
	deadline time.Time // of writes
	stuck    bool      // takes nothing
	flushes  int
}

// read begins a stream. Headers come as name, value.
func read(t *testing.T, h http.Handler, ctx context.Context, method string, headers ...string) *reader {
	ctx, leave := context.WithCancel(ctx)
	r := httptest.NewRequestWithContext(ctx, method, "/api/events", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	c := &reader{t: t, header: http.Header{}, leave: leave, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		h.ServeHTTP(c, r)
	}()
	synctest.Wait()
	return c
}

func (c *reader) Header() http.Header { return c.header }

func (c *reader) WriteHeader(status int) { c.status = status }

func (c *reader) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.stuck {
		wait := time.Until(c.deadline)
		none := c.deadline.IsZero()
		c.mu.Unlock()
		if none {
			select {} // for ever; the bubble notices
		}
		time.Sleep(wait)
		return 0, os.ErrDeadlineExceeded
	}
	defer c.mu.Unlock()
	c.fresh = true
	return c.text.Write(p)
}

func (c *reader) FlushError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushes++
	if c.fresh {
		c.writes = append(c.writes, time.Now())
	}
	c.fresh = false
	return nil
}

func (c *reader) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = at
	return nil
}

// die makes the client one that takes nothing any more.
func (c *reader) die() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

// take returns what came since the last call.
func (c *reader) take() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.text.Reset()
	return c.text.String()
}

// want checks what came since the last call.
func (c *reader) want(text string) {
	c.t.Helper()
	if got := c.take(); got != text {
		c.t.Errorf("came:\n%s\nwant:\n%s", got, text)
	}
}

// ended reports whether the handler has returned.
func (c *reader) ended() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// events reads the events of a text; the rest of it is of no interest.
func events(t *testing.T, text string) (list []eventDoc) {
	t.Helper()
	for line := range strings.Lines(text) {
		data, ok := strings.CutPrefix(line, "data: {\"id\"")
		if !ok {
			continue
		}
		var doc eventDoc
		if err := json.Unmarshal([]byte("{\"id\""+data), &doc); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		list = append(list, doc)
	}
	return list
}
