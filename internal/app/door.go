package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"

	"attache/internal/admin"
	"attache/internal/config"
	"attache/proxy"
)

// door is a socket that attache listens on and the server behind it. Both stay
// as they are while configurations come and go that want the same of them: only
// who answers is exchanged, and the certificates by package certs.
type door struct {
	what    string          // requests, handout, admin or probes
	key     string          // that of its spot
	wants   config.Listener // as the configuration has it; for the goroutine of App.doors alone
	raw     net.Listener    // the socket itself
	socket  net.Listener    // the same with the bounds of its connections
	server  *http.Server
	express *proxy.Express // nil: server has all connections
	handler atomic.Pointer[http.Handler]
	leaving *proxy.Leaving
	left    atomic.Bool     // no longer takes connections
	life    context.Context // of event streams on it
	end     context.CancelFunc
}

// newDoor puts a server behind socket. Nothing is accepted before [door.serve].
func (a *App) newDoor(spot spot, socket net.Listener) *door {
	l := spot.listener
	b := proxy.Bounds(l.Bounds)
	d := &door{what: spot.what, key: spot.key, wants: l, raw: socket, socket: b.Listener(socket)}
	d.leaving = proxy.NewLeaving(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*d.handler.Load()).ServeHTTP(w, r)
	}))
	d.server = b.Server(d.leaving)
	d.server.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)
	d.life, d.end = context.WithCancel(context.Background())
	if spot.what == forAdmin {
		d.server.BaseContext = func(net.Listener) context.Context { return admin.WithLifetime(context.Background(), d.life) }
	}
	if l.TLS != nil {
		d.server.TLSConfig = a.certs.ServerConfig(spot.key)
	}
	if l.Unix != nil {
		d.server.ConnContext = withPeer
	}
	if spot.front != nil {
		d.express = proxy.NewExpress(b, d.server, d.server.TLSConfig, a.log)
	}
	d.show(spot)
	return d
}

// show makes the answers and callers of spot those of the door, for the requests
// that begin from now on.
func (d *door) show(spot spot) {
	d.handler.Store(&spot.handler)
	if d.express != nil {
		d.express.Show(spot.front)
	}
	d.wants = spot.listener
}

// follow has the requests that still come through d answered by next, which has
// taken the socket over: whoever may no longer call is refused, whatever
// connection they kept.
func (d *door) follow(next *door) {
	answer := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*next.handler.Load()).ServeHTTP(w, r)
	}))
	if d.wants.TLS != nil {
		answer = verifiedAnew(clientCA(next.wants), answer)
	}
	d.handler.Store(&answer)
	if d.express != nil {
		d.express.Show(nil)
	}
}

// clientCA returns who may issue the certificates of a listener's callers; nil:
// nobody.
func clientCA(l config.Listener) *x509.CertPool {
	if l.TLS == nil {
		return nil
	}
	return l.TLS.ClientCA
}

// verifiedAnew returns next for connections whose client certificates others
// verified than roots, which may be nil. A certificate that roots do not verify
// counts as none.
func verifiedAnew(roots *x509.CertPool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && !verifies(roots, r.TLS.PeerCertificates) {
			unknown := *r.TLS
			unknown.PeerCertificates, unknown.VerifiedChains = nil, nil
			r = r.WithContext(r.Context()) // a copy: the server's own is left alone
			r.TLS = &unknown
		}
		next.ServeHTTP(w, r)
	})
}

// verifies does what a handshake does with the certificates of a client.
func verifies(roots *x509.CertPool, chain []*x509.Certificate) bool {
	if roots == nil || len(chain) == 0 { // nil would be the system's
		return false
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// serve answers requests until the door is closed.
func (d *door) serve() error {
	if d.express != nil {
		return d.express.Serve(d.socket)
	}
	if d.server.TLSConfig != nil {
		return d.server.ServeTLS(d.socket, "", "")
	}
	return d.server.Serve(d.socket)
}

// stopListening takes no further connections. Those that are there go on, and
// their answers ask the clients to leave.
func (d *door) stopListening() {
	d.left.Store(true)
	d.leave()
	d.end()
	d.socket.Close()
}

// leave asks clients to go elsewhere, in the answers to their requests.
func (d *door) leave() {
	d.leaving.Leave()
	if d.express != nil {
		d.express.Leave()
	}
}

// close lets the requests that are under way finish until ctx ends, and cuts
// what takes longer. It reports whether all finished.
func (d *door) close(ctx context.Context) bool {
	d.left.Store(true)
	d.end()
	var s interface {
		Shutdown(context.Context) error
		Close() error
	} = d.server
	if d.express != nil { // which has the server's connections as well
		d.socket.Close()
		s = d.express
	}
	if s.Shutdown(ctx) == nil {
		return true
	}
	s.Close()
	return false
}

// addr returns the address, or the path of the socket.
func (d *door) addr() string { return d.socket.Addr().String() }

// logListening says where requests are taken.
func (d *door) logListening(log *slog.Logger) {
	attrs := []any{"for", d.what, "address", d.addr()}
	if d.what == forRequests || d.what == forHandout {
		attrs = append(attrs, "tls", d.wants.TLS != nil, "callers", len(d.wants.Callers))
	}
	log.Info("listening", attrs...)
}

// isData reports whether the application's requests come through the door.
func (d *door) isData() bool { return d.what == forRequests || d.what == forHandout }

// withPeer puts into a connection's context who is at its other end.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	for {
		switch conn := c.(type) {
		case *net.UnixConn:
			if p, ok := peerOf(conn); ok {
				return proxy.WithPeer(ctx, p)
			}
			return ctx
		case interface{ NetConn() net.Conn }:
			c = conn.NetConn()
		default:
			return ctx
		}
	}
}

// sameSocket returns a second listener on the very socket of l, so that its queue
// of connections outlives l.
func sameSocket(l net.Listener) (net.Listener, error) {
	switch l := l.(type) {
	case *net.TCPListener:
		return secondListener(l)
	case *socketListener:
		return l.again()
	}
	return nil, fmt.Errorf("a %T cannot be handed on", l)
}
