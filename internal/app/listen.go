package app

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"syscall"

	"attache/internal/config"
	"attache/proxy"
)

// What doors are for.
const (
	forRequests = "requests"
	forHandout  = "handout"
	forAdmin    = "admin"
	forProbes   = "probes"
)

// spot is a place where a setup listens, and what answers there.
type spot struct {
	what     string
	key      string // tells it from the other spots, also in the next setup
	listener config.Listener
	handler  http.Handler
	front    *proxy.Front // of requests alone: what handler is made of
}

// spots lists the places of a setup, those for the application first.
func (a *App) spots(s *setup) []spot {
	var spots []spot
	add := func(what string, i int, l config.Listener, h http.Handler) {
		spots = append(spots, spot{what: what, key: listenerKey(what, i, l), listener: l, handler: h})
	}
	for i, l := range s.config.Listen {
		front := &proxy.Front{Guard: guardOf(l, s.config.Routes), Callers: a.callersOf(l), Proxy: s.proxy, Standard: s.config.Lane == config.LaneStandard}
		add(forRequests, i, l, front.Handler())
		spots[i].front = front
	}
	if h := s.config.Handout; h != nil {
		add(forHandout, 0, h.Listener, a.protect(h.Listener, s.handout))
	}
	guard := proxy.Guard{Loopback: true} // the configuration refuses any other address
	var quit func()
	if s.config.Admin.Quit {
		quit = a.askToQuit
	}
	add(forAdmin, 0, controlListener(s.config.Admin.Address), guard.Wrap(a.admin.Handler(quit)))
	if s.config.Probes != "" {
		add(forProbes, 0, controlListener(s.config.Probes), a.admin.Probes())
	}
	return spots
}

// controlConnections is how many clients may look at admin, or at probes, at a
// time: people, Prometheus and the kubelet are few.
const controlConnections = 200

func controlListener(address string) config.Listener {
	b := config.DefaultBounds()
	b.Connections = controlConnections
	return config.Listener{Address: address, Bounds: b}
}

// protect returns h for those who may use l.
func (a *App) protect(l config.Listener, h http.Handler) http.Handler {
	if callers := a.callersOf(l); callers != nil {
		h = callers.Wrap(h)
	}
	if guard := guardOf(l, nil); guard != nil {
		h = guard.Wrap(h)
	}
	return h
}

// callersOf returns those who alone may use l; nil: it names nobody.
func (a *App) callersOf(l config.Listener) *proxy.Callers {
	if len(l.Callers) == 0 {
		return nil
	}
	var list []proxy.Caller
	for _, c := range l.Callers {
		list = append(list, proxy.Caller(c))
	}
	return proxy.NewCallers(list, a.log)
}

// doorPlan says what becomes of the doors when a setup comes into service. The
// sockets of fresh ones are open already.
type doorPlan struct {
	doors []*door         // those of the setup, in the order of its spots
	shows map[*door]spot  // doors that stay, and what they show from then on
	fresh map[*door]*door // new doors → the one whose socket each takes over, or nil
	gone  []*door
	// Files of sockets are no more open than both configurations want until
	// their new callers are asked.
	widen []func() error
	undo  []func()
}

// plan opens what s listens on beside the doors that there are. After an error
// nothing is open that was not before.
func (a *App) plan(s *setup) (*doorPlan, error) {
	p := &doorPlan{shows: map[*door]spot{}, fresh: map[*door]*door{}, gone: slices.Clone(*a.doors.Load())}
	for _, spot := range a.spots(s) {
		old := p.take(spot)
		if old != nil && sameServer(old.wants, spot.listener) {
			p.shows[old] = spot
			p.doors = append(p.doors, old)
			continue
		}
		socket, err := p.open(spot, old)
		if err != nil {
			p.discard()
			return nil, fmt.Errorf("listen for %s: %w", spot.what, a.explain(spot, err))
		}
		d := a.newDoor(spot, socket)
		p.fresh[d] = old
		p.doors = append(p.doors, d)
	}
	return p, nil
}

// take returns the door at the place of a spot, and no longer counts it among
// those that go.
func (p *doorPlan) take(s spot) *door {
	i := slices.IndexFunc(p.gone, func(d *door) bool { return d.key == s.key })
	if i < 0 {
		return nil
	}
	d := p.gone[i]
	p.gone = slices.Delete(p.gone, i, i+1)
	return d
}

// sameServer reports whether one server does for both: what differs can be
// exchanged while it runs. Who verified a client's certificate is a matter of its
// connection.
func sameServer(a, b config.Listener) bool {
	return a.Bounds == b.Bounds && (a.TLS == nil) == (b.TLS == nil) && samePool(clientCA(a), clientCA(b)) &&
		reflect.DeepEqual(a.Unix, b.Unix)
}

func samePool(a, b *x509.CertPool) bool {
	return a == b || a != nil && b != nil && a.Equal(b)
}

// open opens the socket of a spot, or takes over that of old.
func (p *doorPlan) open(s spot, old *door) (net.Listener, error) {
	if old == nil {
		if s.listener.Unix != nil {
			return listenSocket(s.listener.Unix)
		}
		return net.Listen("tcp", s.listener.Address)
	}
	if before := old.wants.Unix; before != nil {
		now := ownedAnew(before, s.listener.Unix)
		p.undo = append(p.undo, func() { permit(ownedAnew(now, before)) }) // also what narrow does in part
		if err := narrow(before, now); err != nil {
			return nil, err
		}
		p.widen = append(p.widen, func() error { return permit(now) })
	}
	return sameSocket(old.raw)
}

// ownedAnew returns s, which follows before. Where before gave the file an owner
// and s does not, it goes back to the process.
func ownedAnew(before, s *config.Socket) *config.Socket {
	owned := *s
	if owned.UID < 0 && before.UID >= 0 {
		owned.UID = os.Geteuid()
	}
	if owned.GID < 0 && before.GID >= 0 {
		owned.GID = os.Getegid()
	}
	return &owned
}

// discard closes what was opened.
func (p *doorPlan) discard() {
	for d, old := range p.fresh {
		if old != nil {
			keepFile(d.raw)
		}
		d.socket.Close()
	}
	for _, undo := range p.undo {
		undo()
	}
}

// answerAnew has all requests that begin from now on answered by the setup of a
// plan.
func (a *App) answerAnew(p *doorPlan) {
	for d, spot := range p.shows {
		d.show(spot)
	}
	for d, old := range p.fresh {
		if old != nil {
			old.follow(d)
		}
	}
	for _, widen := range p.widen {
		if err := widen(); err != nil { // it could be narrowed, so this is odd
			a.log.Error("a socket is open to fewer users than it should be", "error", err)
		}
	}
}

// commit puts the new doors of a plan into service, and takes those out that went.
func (a *App) commit(p *doorPlan) {
	a.doors.Store(&p.doors)
	for _, d := range p.doors {
		old, isFresh := p.fresh[d]
		if isFresh && a.opened {
			a.serve(d)
		}
		if old != nil {
			keepFile(old.raw)
			a.retire(old)
		}
	}
	for _, d := range p.gone {
		a.log.Info("no longer listening", "for", d.what, "address", d.addr())
		a.retire(d)
	}
}

// keepFile leaves the file of a socket to another listener on it.
func keepFile(l net.Listener) {
	if s, ok := l.(*socketListener); ok {
		s.keepFile()
	}
}

// explain says what to do about an error of listening at a spot. One reload
// cannot give a place from one door to another: both would have it for a moment.
func (a *App) explain(s spot, err error) error {
	for _, d := range *a.doors.Load() {
		if d.key != s.key && inTheWay(d.wants, s.listener) {
			return fmt.Errorf("attache itself has %s until this configuration is in service, for %s; take that out with a reload of its own first, or restart", d.addr(), d.what)
		}
	}
	return fmt.Errorf("%w%s", err, listenAdvice(err))
}

// inTheWay reports whether nobody can listen at b while somebody listens at a.
func inTheWay(a, b config.Listener) bool {
	if a.Unix != nil || b.Unix != nil {
		return a.Unix != nil && b.Unix != nil && a.Unix.Path == b.Unix.Path
	}
	hostA, portA, _ := net.SplitHostPort(a.Address)
	hostB, portB, _ := net.SplitHostPort(b.Address)
	all := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	return portA == portB && portA != "0" && (hostA == hostB || all(hostA) || all(hostB))
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

// Addr returns the address of the first listener for requests, or the path of
// its socket.
func (a *App) Addr() string { return a.address(forRequests) }

// HandoutAddr returns the address of the listener that hands tokens out, or the
// path of its socket; "" if there is none.
func (a *App) HandoutAddr() string { return a.address(forHandout) }

// AdminAddr returns the address of the admin listener.
func (a *App) AdminAddr() string { return a.address(forAdmin) }

func (a *App) address(what string) string {
	for _, d := range *a.doors.Load() {
		if d.what == what {
			return d.addr()
		}
	}
	return ""
}
