package config

import (
	"net"

	"attache/internal/yamldoc"
)

// addresses reads listen, admin, probes and handout.
func (l *loader) addresses(o yamldoc.Object) {
	taken := map[string]string{} // address or socket → key that has it
	use := func(v yamldoc.Value, place, key string) {
		if _, port, _ := net.SplitHostPort(place); port == "0" {
			return
		}
		if by, there := taken[place]; there && !(by == challengesKey && key == by) {
			v.Errorf("%s has this address already", by)
			return
		}
		taken[place] = key
	}
	if !o.Has("listen") {
		l.cfg.Listen = []Listener{{Address: defaultListen, Loopback: true, Bounds: DefaultBounds()}}
		taken[defaultListen] = "listen, by default,"
	}
	if !o.Has("admin") {
		l.cfg.Admin = Admin{Address: defaultAdmin}
		taken[defaultAdmin] = "admin, by default,"
	}
	for _, v := range listenItems(o.Get("listen")) {
		if ln, at, ok := l.listener(v); ok {
			use(at, ln.place(), "listen")
			challenges(&ln, use)
			l.cfg.Listen = append(l.cfg.Listen, ln)
		}
	}
	if v := o.Get("admin"); !v.IsZero() {
		if a, at, ok := admin(v); ok {
			use(at, a.Address, "admin")
			l.cfg.Admin = a
		}
	}
	if v := o.Get("probes"); !v.IsZero() {
		if address, _, ok := hostPort(v); ok {
			use(v, address, "probes")
			l.cfg.Probes = address
		}
	}
	if v := o.Get("handout"); !v.IsZero() {
		if at, ok := l.handout(v); ok {
			use(at, l.cfg.Handout.place(), "handout")
			challenges(&l.cfg.Handout.Listener, use)
		}
	}
}

// place returns the address or the path.
func (ln *Listener) place() string {
	if ln.Unix != nil {
		return ln.Unix.Path
	}
	return ln.Address
}

// listenItems returns the listeners: one address or map, or a list of them.
func listenItems(v yamldoc.Value) []yamldoc.Value {
	if v.IsNull() || v.IsList() && len(v.List(false)) == 0 {
		v.Errorf("want an address such as %s", defaultListen)
		return nil
	}
	return v.List(true)
}

// listener reads an address, or a map around an address or a socket. at is the
// address or the socket itself.
func (l *loader) listener(v yamldoc.Value) (ln Listener, at yamldoc.Value, ok bool) {
	if !v.IsMap() {
		ln.Bounds = DefaultBounds()
		ln.Address, ln.Loopback, ok = hostPort(v)
		if ok && !ln.Loopback {
			openToAll(v, ln.Address)
		}
		return ln, v, ok
	}
	o := v.Object(listenerShape())
	for _, item := range o.Get("hosts").List(true) {
		if host, ok := hostName(item); ok {
			ln.Hosts = append(ln.Hosts, bracketed(host))
		}
	}
	for _, item := range o.Get("origins").List(true) {
		if origin, ok := site(item); ok {
			ln.Origins = append(ln.Origins, origin)
		}
	}
	ln.Unsafe, _ = o.Bool("unsafe")
	at, ok = l.endpoint(o, &ln)
	switch {
	case !ok:
	case ln.Unix != nil:
		// A page in a browser cannot connect to a socket file, so there is
		// neither a Host to check nor a site to let in.
		for _, key := range []string{"hosts", "origins", "unsafe"} {
			o.Get(key).Errorf("this has no effect on a Unix socket: no browser reaches it, and mode, owner and callers say who does")
		}
	case !ln.Loopback && !ln.Unsafe && !o.Has("callers"):
		openToAll(at, ln.Address)
	case !ln.Unsafe:
		inClear(o, &ln, ", or write unsafe: true")
	}
	return ln, at, ok
}

// openToAll notes that nobody is asked who they are.
func openToAll(at yamldoc.Value, address string) {
	at.Errorf("other machines reach this address, and whoever reaches it uses your credentials: say with callers who may, listen on a loopback address such as %s, or write {address: %q, unsafe: true}", defaultListen, address)
}

// inClear notes that tokens of callers would cross a network unencrypted.
func inClear(o yamldoc.Object, ln *Listener, orElse string) {
	if ln.Unix != nil || ln.Loopback || ln.TLS != nil || o.Has("tls") {
		return
	}
	for i := range ln.Callers {
		if !ln.Callers[i].Bearer.IsEmpty() {
			o.Get("callers").Errorf("the callers' tokens would cross the network in clear text: add tls%s", orElse)
			return
		}
	}
}

// endpoint reads what all configurable listeners have: address or unix, mode,
// owner, tls, callers and limits. at is the address or the socket. ok says that
// there is one.
func (l *loader) endpoint(o yamldoc.Object, ln *Listener) (at yamldoc.Value, ok bool) {
	ln.Bounds = bounds(o.Get("limits"))
	if v := o.Get("tls"); !v.IsZero() {
		ln.TLS = l.serverTLS(v)
	}
	ln.Callers = l.callers(o)
	clientCA(o, ln.TLS, ln.Callers)
	switch {
	case o.Has("unix") && o.Has("address"):
		o.Get("unix").Errorf("address and unix exclude each other; a listener has one of them")
		return o.Get("unix"), false
	case o.Has("unix"):
		at = o.Get("unix")
		ln.Unix, ok = l.socket(o)
		return at, ok
	case !o.Has("address"):
		o.Self().Errorf("address or unix is missing")
		return o.Self(), false
	}
	for _, key := range []string{"mode", "owner"} {
		o.Get(key).Errorf("%s goes with unix", key)
	}
	at = o.Get("address")
	ln.Address, ln.Loopback, ok = hostPort(at)
	return at, ok
}
