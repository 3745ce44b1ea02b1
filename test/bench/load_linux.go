package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	// pollEvery bounds how late an interruption is seen.
	pollEvery = 50 * time.Millisecond
	// answerWithin is when a missing answer counts as an error.
	answerWithin = time.Second
	// maxErrors ends a run: a proxy that is broken need not be asked on.
	maxErrors = 1000
)

// load describes the traffic of one run.
type load struct {
	Port        int      // of the proxy, on loopback
	Requests    [][]byte // sent in turn
	AnswerBytes int      // length of each answer's body
	Chunked     bool     // the answers may come in chunks
	Connections int
	Rate        int           // requests a second; 0: the next is sent when one is answered
	Warm        time.Duration // not counted
	WarmCount   int           // the warm-up has at least so many answers
	Measure     time.Duration
}

// outcome is what one run showed. Latency is from the moment a request was
// meant to be sent.
type outcome struct {
	Elapsed  time.Duration
	Answers  int // within Elapsed
	Errors   int // warm-up included
	FirstErr error
	Latency  *histogram
	// Late is how long after that moment it was sent. An open loop that is late
	// although connections are free has itself to blame.
	Late *histogram
}

// client is one connection to the proxy.
type client struct {
	fd       int
	buf      []byte
	have     int
	waiting  bool          // for an answer
	intended time.Duration // when the request was meant to be sent
}

// loader runs a load. One thread does everything, so that the load costs little
// and is not the limit.
type loader struct {
	load
	poller  *poller
	epoch   time.Time
	clients []*client // by descriptor
	next    int       // request
	answers int
	// Latencies of requests meant to be sent in [from, until) are recorded.
	from, until time.Duration
	out         outcome
	open        *schedule // nil: closed loop
	idle        []*client // open loop: may send
}

// run puts load on a proxy. mark is called when the warm-up is over and when
// the measurement is; what it reads belongs to exactly the counted answers.
func run(ctx context.Context, l load, mark func() error) (outcome, error) {
	p, err := newPoller()
	if err != nil {
		return outcome{}, err
	}
	defer p.close()
	r := &loader{load: l, poller: p, epoch: time.Now(), out: outcome{Latency: new(histogram), Late: new(histogram)}, from: 1 << 62, until: 1 << 62}
	defer r.closeAll()
	if l.Rate > 0 {
		r.open = &schedule{rate: l.Rate}
	}
	for range l.Connections {
		if err := r.connect(); err != nil {
			return outcome{}, err
		}
	}
	err = r.measure(ctx, mark)
	return r.out, err
}

func (r *loader) measure(ctx context.Context, mark func() error) error {
	if err := r.warmUp(ctx); err != nil {
		return err
	}
	if err := mark(); err != nil {
		return err
	}
	start, before := r.now(), r.answers
	r.from, r.until = start, start+r.Measure
	if err := r.step(ctx, r.until, 0); err != nil {
		return err
	}
	r.out.Elapsed, r.out.Answers = r.now()-start, r.answers-before
	if err := mark(); err != nil {
		return err
	}
	if r.open != nil {
		// The last ones are answered late, but they belong to the count.
		if err := r.drain(ctx); err != nil {
			return err
		}
	}
	r.countMissing()
	return nil
}

func (r *loader) now() time.Duration { return time.Since(r.epoch) }

// warmUp is the time before anything is counted.
func (r *loader) warmUp(ctx context.Context) error {
	const atMost = time.Minute
	if err := r.step(ctx, r.Warm, 0); err != nil || r.answers >= r.WarmCount {
		return err
	}
	if err := r.step(ctx, r.now()+atMost, r.WarmCount); err != nil {
		return err
	}
	if r.answers < r.WarmCount {
		return fmt.Errorf("warm up: only %d of %d answers within %s", r.answers, r.WarmCount, atMost)
	}
	return nil
}

// step sends and receives until a moment, or until there were so many answers
// in all; 0: any number.
func (r *loader) step(ctx context.Context, until time.Duration, answers int) error {
	for {
		t := r.now()
		if t >= until || answers > 0 && r.answers >= answers {
			return nil
		}
		timeout := min(until-t, pollEvery)
		if r.open != nil {
			r.sendDueBefore(t + 1)
			if len(r.idle) > 0 {
				timeout = min(timeout, r.open.wait(r.now()))
			}
		}
		if err := r.turn(ctx, timeout); err != nil {
			return err
		}
	}
}

// drain receives what is still on its way, and sends no more.
func (r *loader) drain(ctx context.Context) error {
	for end := r.now() + answerWithin; r.now() < end; {
		r.sendDueBefore(r.until)
		if len(r.idle) == r.Connections {
			return nil
		}
		if err := r.turn(ctx, min(end-r.now(), pollEvery)); err != nil {
			return err
		}
	}
	return nil
}

// turn waits for answers and takes them.
func (r *loader) turn(ctx context.Context, timeout time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	events, err := r.poller.wait(timeout)
	if err != nil {
		return err
	}
	for _, ev := range events {
		if c := r.clients[ev.Fd]; c != nil {
			if err := r.ready(c); err != nil {
				return err
			}
		}
	}
	if r.out.Errors >= maxErrors {
		return fmt.Errorf("%d errors, the first: %w", r.out.Errors, r.out.FirstErr)
	}
	return nil
}

// countMissing counts requests without an answer as errors, and their age so
// far as a latency: leaving them out would flatter.
func (r *loader) countMissing() {
	t := r.now()
	missing := func(intended time.Duration) {
		if age := t - intended; age >= answerWithin {
			r.fail(errors.New("a request was not answered within a second"))
			r.out.Latency.add(age)
		}
	}
	for _, c := range r.clients {
		if c != nil && c.waiting {
			missing(c.intended)
		}
	}
	if r.open == nil {
		return
	}
	for {
		intended, ok := r.open.due(min(t, r.until-1))
		if !ok {
			return
		}
		missing(intended)
	}
}

// sendDueBefore sends what was meant to be sent before a moment, as far as there are
// connections for it.
func (r *loader) sendDueBefore(t time.Duration) {
	for len(r.idle) > 0 {
		intended, ok := r.open.due(t - 1)
		if !ok {
			return
		}
		c := r.idle[len(r.idle)-1]
		r.idle = r.idle[:len(r.idle)-1]
		if intended >= r.from && intended < r.until {
			r.out.Late.add(r.now() - intended)
		}
		r.send(c, intended)
	}
}

// send sends the next request. Where it cannot, the connection is replaced.
func (r *loader) send(c *client, intended time.Duration) {
	request := r.Requests[r.next%len(r.Requests)]
	r.next++
	c.intended, c.waiting, c.have = intended, true, 0
	if err := writeAll(c.fd, request); err != nil {
		// Reading sees the same end of the connection and replaces it.
		r.fail(fmt.Errorf("send a request: %w", err))
		if err := syscall.Shutdown(c.fd, syscall.SHUT_RDWR); err != nil {
			r.fail(err)
		}
	}
}

// ready reads an answer. The error is one that ends the run.
func (r *loader) ready(c *client) error {
	n, err := readSome(c.fd, c.buf[c.have:])
	if errors.Is(err, errAgain{}) {
		return nil
	}
	c.have += n
	var end, length int
	if err == nil {
		end, length, err = r.message(c.buf[:c.have])
	}
	switch {
	case err != nil:
		return r.replace(c, err)
	case end == 0 && c.have < len(c.buf):
		return nil // more is to come
	case end != c.have || !c.waiting:
		return r.replace(c, fmt.Errorf("%d bytes came that are no part of an answer", c.have-end))
	}
	if err := checkAnswer(c.buf, length, r.AnswerBytes); err != nil {
		r.fail(err)
	}
	t := r.now()
	r.answers++
	if c.intended >= r.from && c.intended < r.until {
		r.out.Latency.add(t - c.intended)
	}
	r.free(c, t)
	return nil
}

// message is the reader of answers that the load has.
func (r *loader) message(data []byte) (end, bodyLength int, err error) {
	if r.Chunked {
		return chunkedMessage(data)
	}
	return message(data)
}

// free uses a connection for the next request.
func (r *loader) free(c *client, t time.Duration) {
	c.waiting = false
	if r.open != nil {
		r.idle = append(r.idle, c)
		return
	}
	r.send(c, t)
}

func (r *loader) fail(err error) {
	r.out.Errors++
	if r.out.FirstErr == nil {
		r.out.FirstErr = err
	}
}

// replace ends a connection that broke and opens another.
func (r *loader) replace(c *client, err error) error {
	r.fail(err)
	syscall.Close(c.fd)
	r.clients[c.fd] = nil
	for i, other := range r.idle {
		if other == c {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			break
		}
	}
	return r.connect()
}

func (r *loader) connect() error {
	fd, err := dial(r.Port)
	if err != nil {
		return err
	}
	for len(r.clients) <= fd {
		r.clients = append(r.clients, nil)
	}
	// Room for the longest answer and its head: one read takes all.
	c := &client{fd: fd, buf: make([]byte, 16<<10)}
	r.clients[fd] = c
	if err := r.poller.add(fd); err != nil {
		return err
	}
	r.free(c, r.now())
	return nil
}

func (r *loader) closeAll() {
	for _, c := range r.clients {
		if c != nil {
			syscall.Close(c.fd)
		}
	}
}
