package proxy

import "net/http"

// Front is who answers on a listener for requests, and for whom.
type Front struct {
	Guard   *Guard   // nil: no browser reaches the listener
	Callers *Callers // nil: anybody may call
	Proxy   *Proxy
	// Standard: every request takes the standard lane.
	Standard bool
}

// Handler returns the front for a server of net/http: the standard lane.
func (f *Front) Handler() http.Handler {
	var h http.Handler = f.Proxy
	if f.Callers != nil {
		h = f.Callers.Wrap(h)
	}
	if f.Guard != nil {
		h = f.Guard.Wrap(h)
	}
	return h
}

// answering is a front in service.
type answering struct {
	front   *Front
	guard   *Guard
	handler http.Handler // all of it, for requests that take the long way
}

func (b Bounds) answering(f *Front) *answering {
	a := &answering{front: f, handler: b.cutStalled(f.Handler())}
	if f.Guard != nil {
		a.guard = f.Guard.prepared()
	}
	return a
}

// expresses reports whether requests may take the express lane at all. Where pages
// of other sites may call, browsers do, who ask for more than plain requests.
func (a *answering) expresses() bool {
	return !a.front.Standard && (a.guard == nil || len(a.guard.Origins) == 0)
}

// lets reports whether the guard lets a request for host pass, which comes from no web
// page. Why not, the handler says.
func (a *answering) lets(host string) bool { return a.guard == nil || a.guard.check(host, nil) == nil }
