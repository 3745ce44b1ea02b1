package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Guard keeps web pages of foreign sites away from a listener. A browser on this
// machine reaches loopback, and a page there may have bound its own host name to
// 127.0.0.1 (DNS rebinding) or simply send requests across sites; both would
// then use the tokens that are injected here.
type Guard struct {
	// Loopback says that the listener is on loopback: only requests to a
	// loopback name or address, to *.localhost or to one of Hosts pass, and
	// those that a browser sends for another site are refused. False: only
	// CORS for Origins is answered, because whoever listens elsewhere knows
	// callers by other means.
	Loopback bool
	// Hosts are further names that requests may be for, without port.
	Hosts []string
	// Origins are sites that may call, as browsers spell them:
	// "https://app.example.com". Their CORS requests are answered here.
	Origins []string
}

// Wrap returns a handler that passes to next what the guard lets pass.
func (g Guard) Wrap(next http.Handler) http.Handler {
	guard := g.prepared()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused := guard.check(r.Host, r.Header); refused != nil {
			answerEarly(w, r, func() { refused.write(w, isGRPCCall(r)) })
			return
		}
		if guard.cors(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// prepared returns a guard of its own, whose hosts are as requests are compared.
func (g Guard) prepared() *Guard {
	hosts := make([]string, len(g.Hosts))
	for i, host := range g.Hosts {
		hosts[i] = hostName(host)
	}
	return &Guard{Loopback: g.Loopback, Hosts: hosts, Origins: slices.Clone(g.Origins)}
}

// check returns why a request is refused, or nil. A request without a Host has
// none that is allowed.
func (g *Guard) check(host string, header http.Header) *answer {
	if !g.Loopback {
		return nil
	}
	if !g.ownHost(hostName(host)) {
		return &answer{status: http.StatusMisdirectedRequest, kind: errDenied,
			detail: "the Host is neither a loopback name nor one of this listener's hosts"}
	}
	if !g.ownSite(header) {
		return &answer{status: http.StatusForbidden, kind: errDenied,
			detail: "the request comes from a web page of another site, which is not one of this listener's origins"}
	}
	return nil
}

// ownHost reports whether a host, in lower case and without port, is local or
// configured.
func (g *Guard) ownHost(host string) bool {
	return localHost(host) || slices.Contains(g.Hosts, host)
}

// localHost reports whether a host, in lower case and without port, is this
// machine by its very name: no DNS server can make these point elsewhere.
func localHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if strings.HasPrefix(host, "[") {
		host = strings.TrimSuffix(host[1:], "]")
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// ownSite reports whether a request comes from no browser, or from a page that
// may call. Origin says exactly where from; browsers leave it out of some
// requests and then still send Sec-Fetch-Site.
func (g *Guard) ownSite(header http.Header) bool {
	if origins := header["Origin"]; len(origins) > 0 {
		return len(origins) == 1 && (g.listed(origins[0]) || localOrigin(origins[0]))
	}
	for _, site := range header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "same-site" && site != "none" {
			return false
		}
	}
	return true
}

func (g *Guard) listed(origin string) bool { return slices.Contains(g.Origins, origin) }

// localOrigin reports whether an origin is a page of this machine. The pages of
// Hosts are not: a name that requests may be for is often that of a public
// site, whose pages have to be listed to call. The opaque origin "null" is none
// either: any sandboxed frame has it.
func localOrigin(origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && (scheme == "http" || scheme == "https") && localHost(hostName(host))
}

// cors adds to the answer what the browser of a listed origin wants to see. It
// reports whether the request was a preflight, which is then answered.
func (g *Guard) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(g.Origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !g.listed(origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		h.Set("Access-Control-Expose-Headers", "*")
		return false
	}
	h.Set("Access-Control-Allow-Methods", method)
	if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
		h.Set("Access-Control-Allow-Headers", wanted)
	}
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
