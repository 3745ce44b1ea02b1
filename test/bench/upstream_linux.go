package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// upstream is the server behind all proxies, and attache's token server. One
// thread answers everything, the answers are made beforehand: the core that it
// shares with the load has to keep up with the fastest proxy.
type upstream struct {
	Plain, TLS int // ports on loopback

	poller    *poller
	listeners [2]int // descriptors: plain, TLS
	tls       *tls.Config
	answers   map[string][]byte
	conns     []*served // by descriptor
	stopping  atomic.Bool
	ended     chan error
}

// served is a connection from a proxy.
type served struct {
	fd   int
	tls  *tls.Conn // nil: plain
	buf  []byte
	have int
}

// startUpstream runs an upstream until close.
func startUpstream(certificate tls.Certificate) (*upstream, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	u := &upstream{
		poller: p, answers: answers(), ended: make(chan error, 1),
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
			// An answer is one record from the start, not from the 128th kilobyte on.
			DynamicRecordSizingDisabled: true},
	}
	for i, port := range []*int{&u.Plain, &u.TLS} {
		if u.listeners[i], *port, err = listen(); err != nil {
			return nil, err
		}
		if err := p.add(u.listeners[i]); err != nil {
			return nil, err
		}
	}
	go func() {
		runtime.LockOSThread()
		u.ended <- u.serve()
	}()
	return u, nil
}

// close ends the upstream and returns what broke it before, if anything.
func (u *upstream) close() error {
	u.stopping.Store(true)
	return <-u.ended
}

func (u *upstream) serve() error {
	defer u.poller.close()
	for !u.stopping.Load() {
		events, err := u.poller.wait(pollEvery)
		if err != nil {
			return err
		}
		for _, ev := range events {
			switch fd := int(ev.Fd); fd {
			case u.listeners[0], u.listeners[1]:
				if err := u.accept(fd); err != nil {
					return err
				}
			default:
				if c := u.conns[fd]; c != nil {
					if err := u.ready(c); err != nil && !errors.Is(err, errAgain{}) {
						u.drop(c)
					}
				}
			}
		}
	}
	for _, c := range u.conns {
		if c != nil {
			u.drop(c)
		}
	}
	return errors.Join(syscall.Close(u.listeners[0]), syscall.Close(u.listeners[1]))
}

func (u *upstream) accept(listener int) error {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("take a connection of a proxy: %w", err)
		}
		for len(u.conns) <= fd {
			u.conns = append(u.conns, nil)
		}
		c := &served{fd: fd, buf: make([]byte, 8<<10)}
		u.conns[fd] = c
		if err := u.greet(c, listener == u.listeners[1]); err != nil {
			u.drop(c) // the proxy says what was wrong
		}
	}
}

// greet makes a connection ready. Everything waits for its handshake, which is
// over before anything is measured.
func (u *upstream) greet(c *served, secure bool) error {
	if err := prepare(c.fd); err != nil {
		return err
	}
	if secure {
		raw := &rawConn{fd: c.fd, blocks: true}
		c.tls = tls.Server(raw, u.tls)
		if err := c.tls.Handshake(); err != nil {
			return err
		}
		raw.blocks = false
	}
	if err := u.poller.add(c.fd); err != nil {
		return err
	}
	if secure {
		// The first request may have come with the end of the handshake.
		if err := u.ready(c); !errors.Is(err, errAgain{}) {
			return err
		}
	}
	return nil
}

func (u *upstream) drop(c *served) {
	u.conns[c.fd] = nil
	syscall.Close(c.fd)
}

// ready reads from a connection until a request is complete, and answers it.
func (u *upstream) ready(c *served) error {
	for {
		n, err := c.read(c.buf[c.have:])
		if err != nil {
			return err
		}
		c.have += n
		end, length, err := message(c.buf[:c.have])
		switch {
		case err != nil:
			return err
		case end == 0 && c.have == len(c.buf):
			return errors.New("a request is too long")
		case end == 0 && c.tls == nil:
			return nil
		case end == 0:
			continue // TLS may have kept some of what came
		case end != c.have:
			return errors.New("more came than one request")
		}
		c.have = 0
		return c.write(u.answer(c.buf[:end], c.buf[end-length:end]))
	}
}

func (c *served) read(buf []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(buf)
	}
	return readSome(c.fd, buf)
}

func (c *served) write(data []byte) error {
	if c.tls != nil {
		_, err := c.tls.Write(data)
		return err
	}
	return writeAll(c.fd, data)
}

// answer returns what a request is answered.
func (u *upstream) answer(request, body []byte) []byte {
	_, rest, _ := bytes.Cut(request, []byte(" "))
	path, _, _ := bytes.Cut(rest, []byte(" "))
	if known, ok := u.answers[string(path)]; ok {
		return known
	}
	switch string(path) {
	case "/login":
		return login(body)
	case "/check":
		return answerWith("200 OK", authorizations(request))
	}
	return answerWith("404 Not Found", "")
}

// login issues a user's token.
func login(body []byte) []byte {
	var asked struct{ User string }
	if err := json.Unmarshal(body, &asked); err != nil || asked.User == "" {
		return answerWith("400 Bad Request", "")
	}
	return answerWith("200 OK", `{"token":"`+tokenOf(asked.User)+`"}`)
}

func answerWith(status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// authorizations returns the lines of a head that are about Authorization.
func authorizations(head []byte) string {
	found := ""
	for line := range bytes.SplitSeq(head, lineBreak) {
		if hasFoldedPrefix(line, []byte("authorization:")) {
			found += string(line[len("authorization:"):]) + "\n"
		}
	}
	return found
}

// rawConn is what TLS reads from and writes to.
type rawConn struct {
	fd     int
	blocks bool // reads wait
}

func (c *rawConn) Read(buf []byte) (int, error) {
	for {
		n, err := readSome(c.fd, buf)
		if !c.blocks || !errors.Is(err, errAgain{}) {
			return n, err
		}
		if err := waitReadable(c.fd, 5*time.Second); err != nil {
			return 0, err
		}
	}
}

func (c *rawConn) Write(data []byte) (int, error) {
	if err := writeAll(c.fd, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

// Close does nothing: who owns the descriptor closes it.
func (c *rawConn) Close() error { return nil }

// LocalAddr is unknown.
func (c *rawConn) LocalAddr() net.Addr { return nil }

// RemoteAddr is unknown.
func (c *rawConn) RemoteAddr() net.Addr { return nil }

// SetDeadline does nothing: nothing here waits, but for handshakes.
func (c *rawConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing; see SetDeadline.
func (c *rawConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing; see SetDeadline.
func (c *rawConn) SetWriteDeadline(time.Time) error { return nil }
