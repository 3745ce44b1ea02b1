package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	workers     = 4                    // for each route
	pause       = 4 * time.Millisecond // of a worker between two requests
	answerLimit = 64 << 10
)

// traffic is an application that knows nothing about tokens.
type traffic struct {
	proxy  string
	client *http.Client
	routes []*counters
	first  atomic.Pointer[string]
}

type counters struct {
	scene              scene
	requests, failures atomic.Uint64
	slowest            atomic.Int64 // nanoseconds
}

func newTraffic(proxy string, vendors []*vendor) *traffic {
	t := &traffic{proxy: proxy, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: workers * len(vendors)},
		Timeout:   15 * time.Second,
	}}
	for _, v := range vendors {
		t.routes = append(t.routes, &counters{scene: v.scene})
	}
	return t
}

// run sends requests through every route until ctx ends. What is in flight
// then still finishes and counts.
func (t *traffic) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, c := range t.routes {
		for w := range workers {
			all.Go(func() {
				for n := w; ctx.Err() == nil; n++ {
					t.send(c, n)
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			})
		}
	}
	all.Wait()
	t.client.CloseIdleConnections()
}

func (t *traffic) send(c *counters, n int) {
	start := time.Now()
	complaint := t.exchange(c.scene, n)
	c.requests.Add(1)
	for took, slowest := int64(time.Since(start)), c.slowest.Load(); took > slowest; slowest = c.slowest.Load() {
		if c.slowest.CompareAndSwap(slowest, took) {
			break
		}
	}
	if complaint != "" {
		c.failures.Add(1)
		t.first.CompareAndSwap(nil, &complaint)
	}
}

// exchange sends one request and returns what is wrong with its answer, or "".
func (t *traffic) exchange(s scene, n int) string {
	r, err := s.request(t.proxy, n)
	if err != nil {
		return err.Error()
	}
	ans, err := t.client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer ans.Body.Close()
	body, err := io.ReadAll(io.LimitReader(ans.Body, answerLimit))
	if err != nil {
		return err.Error()
	}
	if ans.StatusCode != http.StatusOK || !strings.Contains(string(body), s.good) {
		return fmt.Sprintf("%s %s: %s: %.200s", r.Method, r.URL.Path, ans.Status, body)
	}
	return ""
}

// firstFailure describes the first failed request.
func (t *traffic) firstFailure() string {
	if text := t.first.Load(); text != nil {
		return *text
	}
	return ""
}
