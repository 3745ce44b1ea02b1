package config

import (
	"time"

	"attache/internal/yamldoc"
)

// Bounds bounds what clients of a listener may hold. Every field is positive.
type Bounds struct {
	// Connections is how many there may be at a time.
	Connections int
	// Header is the size of a request's head in bytes.
	Header int
	// HeaderTimeout bounds the time in which a head has to come, Idle how long
	// a connection may wait for the next request.
	HeaderTimeout, Idle time.Duration
	// Stall is how long a client may send nothing of a body that it owes, or
	// take nothing of an answer.
	Stall time.Duration
}

// DefaultBounds returns what holds where the file says nothing.
func DefaultBounds() Bounds {
	return Bounds{Connections: 10000, Header: 64 << 10, HeaderTimeout: 10 * time.Second, Idle: 2 * time.Minute, Stall: time.Minute}
}

// bounds reads the limits of a listener.
func bounds(v yamldoc.Value) Bounds {
	b := DefaultBounds()
	o := v.Object(limitsShape())
	if n, ok := o.Int("connections"); ok {
		b.Connections = int(n)
	}
	if n, ok := o.Size("header"); ok {
		b.Header = int(n)
	}
	if d, ok := o.Duration("header_timeout"); ok {
		b.HeaderTimeout = d
	}
	if d, ok := o.Duration("idle"); ok {
		b.Idle = d
	}
	if d, ok := o.Duration("stall"); ok {
		b.Stall = d
	}
	return b
}
