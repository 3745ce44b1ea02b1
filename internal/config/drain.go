package config

import (
	"time"

	"attache/internal/yamldoc"
)

// Drain says how much time attache takes to stop. Streams and Timeout run at the
// same time, both from the end of Delay on.
type Drain struct {
	// Delay is how long requests are still taken after /readyz has begun to fail;
	// 0 when the file says nothing.
	Delay time.Duration
	// Timeout is how long the requests in flight may then take, 25s when the file
	// says nothing; Streams the same for WebSockets, event streams, streams of
	// JSON and gRPC calls, which may never end by themselves, 10s; it is at most
	// Timeout.
	Timeout, Streams time.Duration
}

// Limits of Drain. Whoever stops a process that long has other means to wait.
const (
	maxDrainDelay = 5 * time.Minute
	maxDrain      = time.Hour
)

// DefaultDrain returns what holds where the file says nothing. It fits into the
// 30 seconds that Kubernetes gives a container.
func DefaultDrain() Drain { return Drain{Timeout: 25 * time.Second, Streams: 10 * time.Second} }

// drain reads how much time stopping takes.
func drain(v yamldoc.Value) Drain {
	d := DefaultDrain()
	o := v.Object(drainShape())
	for _, part := range []struct {
		key string
		to  *time.Duration
	}{{"delay", &d.Delay}, {"timeout", &d.Timeout}, {"streams", &d.Streams}} {
		if value, ok := o.Duration(part.key); ok {
			*part.to = value
		}
	}
	switch {
	case d.Streams <= d.Timeout:
	case o.Has("streams"):
		o.Get("streams").Errorf("streams cannot have more time than timeout, which is %v", d.Timeout)
	default:
		d.Streams = d.Timeout
	}
	return d
}
