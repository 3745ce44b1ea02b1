package http1

import (
	"sync"
	"time"
)

// pool keeps idle connections. The one used last is used next, so that those
// which are not needed grow old.
type pool struct {
	max     int
	timeout time.Duration

	mu      sync.Mutex
	conns   []*conn     // in the order of idleSince
	janitor *time.Timer // nil: never needed so far
	ticking bool        // the janitor will come
	closed  bool        // until the next request
	retired bool        // for good
}

// get takes a connection that is alive as far as one can tell without writing to
// it; nil: there is none.
func (p *pool) get() *conn {
	for {
		c, fresh := p.pop(time.Now())
		if c == nil {
			return nil
		}
		if fresh {
			c.expect(time.Time{})
			if c.alive() {
				return c
			}
		}
		c.Close()
	}
}

// pop takes the connection used last. It is not fresh if the janitor is late.
func (p *pool) pop(now time.Time) (c *conn, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
	last := len(p.conns) - 1
	if last < 0 {
		return nil, false
	}
	c = p.conns[last]
	p.conns[last] = nil
	p.conns = p.conns[:last]
	return c, now.Sub(c.idleSince) < p.timeout
}

// put keeps a connection or, if there is no room, closes it.
func (p *pool) put(c *conn) { p.putAt(c, time.Now()) }

// putAt is put at now.
func (p *pool) putAt(c *conn, now time.Time) {
	if !p.push(c, now) {
		c.Close()
	}
}

func (p *pool) push(c *conn, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.retired || len(p.conns) >= p.max {
		return false
	}
	c.idleSince = now
	p.conns = append(p.conns, c)
	if !p.ticking {
		p.tick(p.timeout)
	}
	return true
}

// tick is called with mu held.
func (p *pool) tick(d time.Duration) {
	p.ticking = true
	if p.janitor == nil {
		p.janitor = time.AfterFunc(d, p.sweep)
		return
	}
	p.janitor.Reset(d)
}

// sweep closes what has been idle for too long.
func (p *pool) sweep() {
	for _, c := range p.expired() {
		c.Close()
	}
}

func (p *pool) expired() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ticking = false
	now, n := time.Now(), 0
	for n < len(p.conns) && now.Sub(p.conns[n].idleSince) >= p.timeout {
		n++
	}
	old := make([]*conn, n)
	copy(old, p.conns)
	left := copy(p.conns, p.conns[n:])
	clear(p.conns[left:])
	p.conns = p.conns[:left]
	if left > 0 {
		p.tick(p.timeout - now.Sub(p.conns[0].idleSince))
	}
	return old
}

// closeAll closes what is idle; with retire nothing is kept from now on.
func (p *pool) closeAll(retire bool) {
	p.mu.Lock()
	p.retired = p.retired || retire
	conns := p.conns
	p.conns, p.closed, p.ticking = nil, true, false
	if p.janitor != nil {
		p.janitor.Stop()
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}
