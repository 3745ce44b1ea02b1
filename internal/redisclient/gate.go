package redisclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// outcome is what an operation tells about Redis.
type outcome uint8

const (
	reached outcome = iota
	unreached
	unknown // it was cut short
)

// verdict says what an operation that ended with err, after took, tells about
// Redis. ctx is the caller's.
func verdict(ctx context.Context, err error, took, timeout time.Duration) outcome {
	switch {
	case err == nil || Answered(err):
		return reached
	case errors.Is(ctx.Err(), context.Canceled):
		return unknown
	case ctx.Err() != nil && took < timeout/2:
		return unknown // the caller had no time
	}
	return unreached
}

// brokenOff reports whether an operation failed because a connection that had
// been there ended, or because its server is no longer the one to ask: another
// connection may do. What timed out, or could not connect, is not tried again.
func brokenOff(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || strings.HasPrefix(err.Error(), "READONLY ")
}

// gate lets operations fail at once for a while after one that nobody answered,
// and then lets one at a time through to see whether that has changed. It is safe
// for concurrent use; nil lets everything through.
type gate struct {
	pause time.Duration

	mu      sync.Mutex
	last    error     // why it is closed; nil: it is open
	until   time.Time // when somebody may look again
	probing bool      // somebody looks
	reached time.Time // when somebody was answered
}

// pass is the right to try. probe: nobody else has it.
type pass struct {
	begun time.Time
	probe bool
}

// ErrPaused begins the errors of operations that were not tried, because nobody
// answered the one before.
var ErrPaused = errors.New("not tried again yet")

// enter asks for passage; whoever gets it must leave.
func (g *gate) enter(now time.Time) (pass, error) {
	if g == nil {
		return pass{}, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil {
		return pass{begun: now}, nil
	}
	if g.probing || now.Before(g.until) {
		return pass{}, fmt.Errorf("%w: %w", ErrPaused, g.last)
	}
	g.probing = true
	return pass{now, true}, nil
}

// leave tells what came of it. That an operation was not answered which began
// before another one was is old news.
func (g *gate) leave(p pass, now time.Time, o outcome, err error) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.probe {
		g.probing = false
	}
	switch {
	case o == reached:
		g.last, g.reached = nil, now
	case o == unreached && !p.begun.Before(g.reached):
		g.last, g.until = err, now.Add(g.pause)
	}
}

// slotGates is how many gates a cluster has: its nodes fail one by one, and each
// has whole ranges of slots.
const slotGates = 64

const slots = 16384

// gates are one for a server, and one for every range of slots for a cluster.
type gates struct{ list []*gate }

func newGates(pause time.Duration, cluster bool) *gates {
	n := 1
	if cluster {
		n = slotGates
	}
	g := &gates{make([]*gate, n)}
	for i := range g.list {
		if pause > 0 {
			g.list[i] = &gate{pause: pause}
		}
	}
	return g
}

func (g *gates) of(key string) *gate { return g.list[slotOf(key)*len(g.list)/slots] }

// slotOf returns the slot of a key in a cluster: CRC-16 (XMODEM) of what is in
// the first braces, or of all (Redis cluster specification, "Hash tags").
func slotOf(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for _, b := range []byte(key) {
		crc ^= uint16(b) << 8
		for range 8 {
			if high := crc & 0x8000; high != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
