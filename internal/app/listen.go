package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"

	"attache/internal/config"
	"attache/proxy"
)

// server is a listener and what answers there.
type server struct {
	what     string
	http     *http.Server
	listener net.Listener
	callers  int // who may call; 0: nobody is asked
}

// serve answers requests until the server is closed.
func (s *server) serve() error {
	if s.http.TLSConfig != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// listen opens all listeners.
func (a *App) listen(cfg *config.Config, handler http.Handler) error {
	for i, l := range cfg.Listen {
		if err := a.open(&a.data, "requests", i, l, a.protect(l, cfg.Routes, handler)); err != nil {
			return err
		}
	}
	if err := a.listenForHandout(cfg); err != nil {
		return err
	}
	guard := proxy.Guard{Loopback: true} // the configuration refuses any other address
	if err := a.open(&a.control, "admin", 0, controlListener(cfg.Admin), guard.Wrap(a.admin.Handler())); err != nil {
		return err
	}
	if cfg.Probes == "" {
		return nil
	}
	return a.open(&a.control, "probes", 0, controlListener(cfg.Probes), a.admin.Probes())
}

// controlConnections is how many clients may look at admin, or at probes, at a
// time: people, Prometheus and the kubelet are few.
const controlConnections = 200

func controlListener(address string) config.Listener {
	b := config.DefaultBounds()
	b.Connections = controlConnections
	return config.Listener{Address: address, Bounds: b}
}

// listenForHandout opens the listener for tokens themselves, if there is one.
func (a *App) listenForHandout(cfg *config.Config) error {
	if cfg.Handout == nil {
		return nil
	}
	h := proxy.NewHandout(a.tokens.handout(cfg), handoutWait, a.log)
	return a.open(&a.data, "handout", 0, cfg.Handout.Listener, a.protect(cfg.Handout.Listener, nil, h))
}

// handoutWait is how long a token is waited for that is to be handed out.
const handoutWait = 5 * time.Second

// protect returns h for those who may use l.
func (a *App) protect(l config.Listener, routes []config.Route, h http.Handler) http.Handler {
	h = a.askCallers(l, h)
	if l.Unix != nil { // no browser reaches a socket, so no page has to be kept away
		return h
	}
	return guardOf(l, routes).Wrap(h)
}

// askCallers returns h for the callers of l alone, if it names any.
func (a *App) askCallers(l config.Listener, h http.Handler) http.Handler {
	if len(l.Callers) == 0 {
		return h
	}
	var list []proxy.Caller
	for _, c := range l.Callers {
		list = append(list, proxy.Caller(c))
	}
	return proxy.NewCallers(list, a.log).Wrap(h)
}

// open opens one listener, the i-th of its kind.
func (a *App) open(servers *[]server, what string, i int, l config.Listener, h http.Handler) error {
	var listener net.Listener
	var err error
	if l.Unix != nil {
		listener, err = listenSocket(l.Unix)
	} else {
		listener, err = net.Listen("tcp", l.Address)
	}
	if err != nil {
		return fmt.Errorf("listen for %s: %w%s", what, err, listenAdvice(err))
	}
	b := proxy.Bounds(l.Bounds)
	s := b.Server(h)
	s.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)
	if l.TLS != nil {
		s.TLSConfig = a.certs.ServerConfig(listenerKey(what, i, l))
	}
	if l.Unix != nil {
		s.ConnContext = withPeer
	}
	*servers = append(*servers, server{what, s, b.Listener(listener), len(l.Callers)})
	return nil
}

// listenAdvice says what to do about an error of listening; "" if nobody knows.
func listenAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "; end what listens there or choose another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "; this machine has no such address"
	case errors.Is(err, fs.ErrPermission):
		return "; a port below 1024 takes a privilege, and a socket a folder that attache may write to"
	case errors.Is(err, fs.ErrNotExist):
		return "; make the folder of the socket first"
	}
	return ""
}

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

func (a *App) closeListeners() {
	for _, s := range slices.Concat(a.data, a.control) {
		s.listener.Close()
	}
}

// Addr returns the address of the first listener for requests, or the path of
// its socket.
func (a *App) Addr() string { return a.data[0].listener.Addr().String() }

// HandoutAddr returns the address of the listener that hands tokens out, or the
// path of its socket; "" if there is none.
func (a *App) HandoutAddr() string {
	for _, s := range a.data {
		if s.what == "handout" {
			return s.listener.Addr().String()
		}
	}
	return ""
}

// AdminAddr returns the address of the admin listener.
func (a *App) AdminAddr() string { return a.control[0].listener.Addr().String() }

// logListening says where requests are taken.
func (a *App) logListening(s server) {
	attrs := []any{"for", s.what, "address", s.listener.Addr().String()}
	if s.what == "requests" || s.what == "handout" {
		attrs = append(attrs, "tls", s.http.TLSConfig != nil, "callers", s.callers)
	}
	a.log.Info("listening", attrs...)
}
