package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"attache/internal/lanetest"
)

// standardLane reports whether tests that serve a proxy use the standard lane alone.
// Without a word they use the express lane, which hands over what is not for it.
func standardLane() bool { return lanetest.Standard() }

// roomy are bounds that no test meets by chance.
var roomy = Bounds{Connections: 1000, Header: 64 << 10, HeaderTimeout: time.Minute, Idle: time.Minute, Stall: time.Minute}

// lane serves a listener on the lane under test.
type lane struct {
	server  *http.Server
	express *Express // nil: server has all connections
	in      net.Listener
	serving sync.WaitGroup
}

// onLane begins to serve in by s, whose handler is set already; shown is what the
// express lane answers with. A handler that is no Proxy it asks at length, for every
// request.
func onLane(b Bounds, in net.Listener, s *http.Server, shown http.Handler) *lane {
	return onLaneOf(standardLane(), b, in, s, shown)
}

func onLaneOf(standard bool, b Bounds, in net.Listener, s *http.Server, shown http.Handler) *lane {
	l := &lane{server: s, in: in}
	switch {
	case standard && s.TLSConfig != nil:
		l.serving.Go(func() { s.ServeTLS(in, "", "") })
	case standard:
		l.serving.Go(func() { s.Serve(in) })
	default:
		l.express = NewExpress(b, s, s.TLSConfig, nil)
		l.show(b, shown)
		l.serving.Go(func() { l.express.Serve(in) })
	}
	return l
}

func (l *lane) show(b Bounds, shown http.Handler) {
	if p, ok := shown.(*Proxy); ok {
		l.express.Show(&Front{Proxy: p})
		return
	}
	nobody := NewCallers(nil, nil)
	l.express.answers.Store(&answering{front: &Front{Callers: nobody}, handler: b.cutStalled(shown)})
}

// leave is for servers whose handler is no [Leaving].
func (l *lane) leave() {
	if l.express != nil {
		l.express.Leave()
	}
}

func (l *lane) shutdown(ctx context.Context) error {
	if l.express == nil {
		return l.server.Shutdown(ctx)
	}
	l.in.Close()
	return l.express.Shutdown(ctx)
}

// close ends everything, and waits until nothing is accepted any more.
func (l *lane) close() {
	if l.express != nil {
		l.in.Close()
		l.express.Close()
	}
	l.server.Close()
	l.serving.Wait()
}

// idleListener accepts nothing until it is closed.
type idleListener struct {
	net.Listener
	shut  chan struct{}
	close func()
}

func (l *idleListener) Accept() (net.Conn, error) {
	<-l.shut
	return nil, net.ErrClosed
}

func (l *idleListener) Close() error {
	l.close()
	return nil
}

// frontServer is serve for a proxy, on the lane under test.
func frontServer(t *testing.T, p *Proxy, tlsToo bool) *httptest.Server {
	t.Helper()
	if standardLane() {
		return serve(t, p, tlsToo)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	real, shut := s.Listener, make(chan struct{})
	s.Listener = &idleListener{Listener: real, shut: shut, close: sync.OnceFunc(func() { close(shut) })}
	behind := &http.Server{Handler: p, ErrorLog: s.Config.ErrorLog}
	if tlsToo {
		s.EnableHTTP2 = true
		s.StartTLS()
		behind.TLSConfig = s.TLS.Clone()
	} else {
		s.Start()
	}
	l := onLane(roomy, roomy.Listener(real), behind, p)
	t.Cleanup(func() {
		l.close()
		s.Close()
	})
	return s
}
