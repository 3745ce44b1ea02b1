package redisclient

import (
	"errors"
	"net"
	"strconv"
)

// Bounds of what a server sends: the library allocates what a reply announces,
// before it is there, and reads lists within lists by recursion.
const (
	maxText     = 4 << 20  // bytes of one text
	maxList     = 1 << 18  // elements of one list
	maxLine     = 16 << 10 // bytes of a line: a number, a status, an error
	maxDepth    = 16       // lists within lists
	maxReceived = 32 << 20 // bytes since something was sent
)

// errTooLarge ends a connection.
var errTooLarge = errors.New("the server sends more than it should")

// boundedConn fails when the server sends more than the bounds allow. It
// understands as much of the protocol (RESP) as it takes to see lengths. Like
// every connection of the library it has one reader at a time.
type boundedConn struct {
	net.Conn
	line     []byte // the beginning of one
	skip     int    // bytes of a text that are to come
	depth    int    // how many lists were announced in a row
	received int
}

// Write sends, and begins to count anew.
func (c *boundedConn) Write(p []byte) (int, error) {
	c.received = 0
	return c.Conn.Write(p)
}

// Read receives.
func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.received += n; c.received > maxReceived || !c.scan(p[:n]) {
		c.Conn.Close()
		return 0, errTooLarge
	}
	return n, err
}

// scan reports whether what comes keeps the bounds.
func (c *boundedConn) scan(p []byte) bool {
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(p))
			c.skip, p = c.skip-n, p[n:]
			continue
		}
		b := p[0]
		p = p[1:]
		if b != '\n' {
			if c.line = append(c.line, b); len(c.line) > maxLine {
				return false
			}
			continue
		}
		if !c.header(c.line) {
			return false
		}
		c.line = c.line[:0]
	}
	return true
}

// header notes what a whole line announces.
func (c *boundedConn) header(line []byte) bool {
	if len(line) < 2 {
		return true
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-1]))
	switch line[0] {
	case '$', '=', '!':
		c.depth = 0
		if err != nil || n < -1 || n > maxText {
			return false
		}
		if n >= 0 {
			c.skip = n + len("\r\n")
		}
	case '*', '%', '~', '>', '|':
		c.depth++
		return err == nil && n >= -1 && n <= maxList && c.depth <= maxDepth
	default:
		c.depth = 0
	}
	return true
}
