package admin

import (
	"errors"
	"net"
	"net/http"
	"net/netip"

	"attache/refresher"
)

// What Config.Renew says.
var (
	// ErrNoToken: there is no token of these names.
	ErrNoToken = errors.New("there is no such token")
	// ErrKeyed: the token is one of each user.
	ErrKeyed = errors.New("this token depends on the request: there is one for each user, and none to be renewed")
)

// renew has a token renewed for whoever is on this machine. Nothing is waited
// for: status and events tell what comes of it.
func (a *Admin) renew(w http.ResponseWriter, r *http.Request) {
	if !mayRenew(r) {
		text(w, http.StatusForbidden, "only clients on this machine can do this\n")
		return
	}
	q := r.URL.Query()
	if !q.Has("credential") || !q.Has("token") {
		text(w, http.StatusBadRequest, "say which token: /-/renew?credential=NAME&token=NAME\n")
		return
	}
	err := a.cfg.Renew(q.Get("credential"), q.Get("token"))
	switch {
	case errors.Is(err, ErrNoToken):
		text(w, http.StatusNotFound, err.Error()+"\n")
	case errors.Is(err, refresher.ErrTooOften):
		text(w, http.StatusTooManyRequests, err.Error()+"\n")
	case err != nil:
		text(w, http.StatusConflict, err.Error()+"\n")
	default:
		text(w, http.StatusAccepted, "renewing\n")
	}
}

// mayRenew reports whether a request comes from this machine. Its connection
// says that, and never a header, which a client can write.
func mayRenew(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().IsLoopback()
}
