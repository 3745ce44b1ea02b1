package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// attempt is one request to one process and what came of it. Times are since the
// start of the bench.
type attempt struct {
	id         string
	process    int
	account    string
	start, end time.Duration
	failure    failure
	status     int
	proxyError string // of Proxy-Status
	class      string // of a problem of attache
	body       string // the beginning of an answer that is not right, or what failed
	right      bool   // 200 with what was asked for
}

// failure is why there is no whole answer.
type failure string

const (
	noFailure  failure = ""
	notReached failure = "connection refused"
	lost       failure = "connection lost without an answer"
	cutShort   failure = "answer cut short"
	tooLate    failure = "no answer in time"
)

// load sends requests to all processes, each by workers of its own, so that one
// that hangs holds up nobody else's.
type load struct {
	w       *world
	rate    float64 // requests a second, all together
	wanted  int64   // how many; 0: until stop
	sent    atomic.Int64
	clients []*http.Client
	done    chan struct{}
	workers sync.WaitGroup
}

const (
	workersEach = 8
	// clientPatience is longer than any pause and every time-out of attache.
	clientPatience = 20 * time.Second
	// tries is how often a balancer sends a request that met no living process.
	tries = 4
	// triesAlone and pauseAlone are how an application asks for the one process
	// with a file, until it is back.
	triesAlone = 100
	pauseAlone = 100 * time.Millisecond
)

func startLoad(w *world, rate float64, wanted int64) *load {
	l := &load{w: w, rate: rate, wanted: wanted, done: make(chan struct{})}
	for range w.processes {
		l.clients = append(l.clients, &http.Client{Timeout: clientPatience, Transport: &http.Transport{
			MaxIdleConnsPerHost: 4 * workersEach, DisableCompression: true, Proxy: nil,
		}})
	}
	each := time.Duration(float64(workersEach*len(w.processes)) / rate * float64(time.Second))
	for p := range w.processes {
		for k := range workersEach {
			l.workers.Go(func() { l.work(p, k, each) })
		}
	}
	return l
}

// stop ends the load and waits for the requests under way.
func (l *load) stop() {
	l.w.record.stop()
	close(l.done)
	l.workers.Wait()
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
}

// work sends at a steady pace. A worker that was held up catches up.
func (l *load) work(p, k int, each time.Duration) {
	r := rand.New(rand.NewPCG(l.w.part.seed, uint64(p*workersEach+k)))
	next := time.Now().Add(time.Duration(r.Int64N(int64(each))))
	for n := 0; ; n++ {
		select {
		case <-l.done:
			return
		case <-time.After(time.Until(next)):
		}
		if l.wanted > 0 && l.sent.Add(1) > l.wanted {
			l.sent.Add(-1)
			l.w.record.stop()
			return
		}
		l.send(l.w.processes[p], fmt.Sprintf("%d-%d-%d", p, k, n), r)
		next = next.Add(each)
		if late := time.Since(next); late > 10*time.Second {
			next = time.Now().Add(-10 * time.Second)
		}
	}
}

// send makes one request, as a balancer does: if the process cannot be reached or
// goes away, another one gets it. Of those with a file there is no other one.
func (l *load) send(p *process, id string, r *rand.Rand) {
	path, account, user := l.choose(p, r)
	body := ""
	if r.IntN(5) < 3 {
		body = `{"text": "` + strings.Repeat("b", 100+r.IntN(200)) + `"}`
	}
	l.w.record.begin()
	for try := 1; ; try++ {
		a := l.try(p, id, path, account, user, body)
		v := l.w.judge(a)
		alone := p.file != ""
		switch {
		case v.cause == causeGone && alone && try < triesAlone:
			time.Sleep(pauseAlone)
		case v.cause == causeGone && !alone && try < tries:
			p = l.w.another(p, r)
		default:
			l.w.record.end(a, v, try)
			return
		}
		l.w.record.again(try)
	}
}

// choose returns what a request asks for.
func (l *load) choose(p *process, r *rand.Rand) (path, account, user string) {
	shop, client, users := accountsOf(p)
	switch n := r.IntN(100); {
	case n < 55:
		return chatPath, "chat/" + shop, ""
	case n < 80:
		user = users[r.IntN(len(users))]
		return userPath, "chat/" + user, user
	case n < 90:
		return corpPath, "corp/" + client, ""
	}
	return sessionPath, "session/" + client, ""
}

func (l *load) try(p *process, id, path, account, user, body string) attempt {
	a := attempt{id: id, process: p.id, account: account, start: l.w.now()}
	method, reader := http.MethodGet, io.Reader(nil)
	if body != "" {
		method, reader = http.MethodPost, strings.NewReader(body)
	}
	req, _ := http.NewRequest(method, "http://"+p.address+path+"m", reader)
	req.Header.Set("Bench-Id", id)
	req.Header.Set("Bench-Account", account)
	if user != "" {
		req.Header.Set("X-User-Id", user)
	}
	ans, err := l.clients[p.id].Do(req)
	var text []byte
	if err == nil {
		a.status = ans.StatusCode
		_, a.proxyError, _ = strings.Cut(ans.Header.Get("Proxy-Status"), "attache; error=")
		text, err = io.ReadAll(io.LimitReader(ans.Body, 1<<20))
		ans.Body.Close()
	}
	a.end = l.w.now()
	a.failure = failureOf(err, a.status)
	if a.failure == noFailure {
		a.read(text, body)
	} else {
		a.body = err.Error()
	}
	return a
}

// read takes in the body of an answer.
func (a *attempt) read(text []byte, sent string) {
	var said struct {
		ErrCode *int
		Data    struct{ ID, Sum string }
		Class   string
	}
	err := json.Unmarshal(text, &said)
	a.class = said.Class
	a.right = err == nil && a.status == http.StatusOK && said.ErrCode != nil && *said.ErrCode == 0 &&
		said.Data.ID == a.id && said.Data.Sum == sum([]byte(sent))
	if !a.right {
		a.body = string(text[:min(len(text), 200)])
	}
}

// failureOf says what an error of the client means. status is 0 if there was no
// head of an answer.
func failureOf(err error, status int) failure {
	var timeout net.Error
	switch {
	case err == nil:
		return noFailure
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return tooLate
	case status != 0:
		return cutShort
	case errors.Is(err, syscall.ECONNREFUSED):
		return notReached
	}
	return lost
}
