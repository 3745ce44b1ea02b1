package proxy

import (
	"container/list"
	"net/http"
	"net/url"
	"sync"
)

// maxOrigins bounds the upstreams to which a [MovingTransport] keeps connections.
// An application's vendor names one, or a few.
const maxOrigins = 16

// MovingTransport sends requests to upstreams that are not known ahead: those that
// outputs of tokens name. To each it sends by a [Transport] of its own; it keeps
// those of the origins used last. It is safe for concurrent use.
// [MovingTransport.Close] ends it.
type MovingTransport struct {
	cfg TransportConfig

	mu      sync.Mutex
	closed  bool
	byName  map[string]*list.Element // of *origin
	recents list.List                // the last used first
}

// origin is an upstream's scheme and host, and the way there.
type origin struct {
	name      string
	transport *Transport
}

// NewMovingTransport returns a transport that connects as cfg says; its Upstream is
// not used.
func NewMovingTransport(cfg TransportConfig) *MovingTransport {
	return &MovingTransport{cfg: cfg, byName: map[string]*list.Element{}}
}

// Send implements [Sender]: it sends the request to the host of its URL.
func (m *MovingTransport) Send(req *http.Request, onInterim func(status int, header http.Header)) (*http.Response, error) {
	t, old, err := m.to(req.URL.Scheme, req.URL.Host)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if old != nil {
		old.Close()
	}
	return t.Send(req, onInterim)
}

// to returns the transport for an origin, and one that is to be closed, or nil. One
// that is closed before it is used sends all the same, and keeps no connection.
func (m *MovingTransport) to(scheme, host string) (t, old *Transport, err error) {
	name := scheme + "://" + host
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := m.byName[name]; at != nil {
		m.recents.MoveToFront(at)
		return at.Value.(*origin).transport, nil, nil
	}
	cfg := m.cfg
	cfg.Upstream = &url.URL{Scheme: scheme, Host: host}
	t, err = NewTransport(cfg) // connects to nobody
	if err != nil {
		return nil, nil, err
	}
	if m.closed {
		return t, t, nil
	}
	m.byName[name] = m.recents.PushFront(&origin{name, t})
	if m.recents.Len() > maxOrigins {
		last := m.recents.Remove(m.recents.Back()).(*origin)
		delete(m.byName, last.name)
		old = last.transport
	}
	return t, old, nil
}

// Close retires the transport, as [Transport.Close] does.
func (m *MovingTransport) Close() {
	m.mu.Lock()
	m.closed = true
	var old []*Transport
	for at := m.recents.Front(); at != nil; at = at.Next() {
		old = append(old, at.Value.(*origin).transport)
	}
	m.recents.Init()
	clear(m.byName)
	m.mu.Unlock()
	for _, t := range old {
		t.Close()
	}
}
