package app

import (
	"fmt"
	"net"

	"attache/internal/certs"
	"attache/internal/config"
	"attache/metrics"
)

// certificateSettings returns what listeners need to speak TLS.
func certificateSettings(cfg *config.Config) certs.Settings {
	s := certs.Settings{Storage: certificateStorage(cfg), Listeners: map[string]certs.Listener{}}
	for i, l := range cfg.Listen {
		if l.TLS != nil {
			s.Listeners[listenerKey(forRequests, i, l)] = listenerCertificate(l)
		}
	}
	if h := cfg.Handout; h != nil && h.TLS != nil {
		s.Listeners[listenerKey(forHandout, 0, h.Listener)] = listenerCertificate(h.Listener)
	}
	return s
}

// listenerKey names a listener, whatever else is configured. For those on any
// free port only their place in the list tells them apart.
func listenerKey(what string, i int, l config.Listener) string {
	switch _, port, _ := net.SplitHostPort(l.Address); {
	case l.Unix != nil:
		return what + " unix:" + l.Unix.Path
	case port == "0":
		return fmt.Sprintf("%s %s #%d", what, l.Address, i)
	}
	return what + " " + l.Address
}

func listenerCertificate(l config.Listener) certs.Listener {
	t := l.TLS
	c := certs.Listener{Certificate: t.Certificate, Internal: t.Internal, ClientCA: t.ClientCA}
	if a := t.ACME; a != nil {
		c.Address = l.Address
		c.ACME = &certs.ACME{Names: a.Names, Directory: a.Directory, Email: a.Email, Roots: a.Roots, HTTP: a.HTTP}
		if a.EAB != nil {
			c.ACME.KeyID, c.ACME.HMAC = a.EAB.KeyID, a.EAB.HMAC
		}
	}
	return c
}

// certificateStorage returns where certificates are kept; zero if nowhere.
func certificateStorage(cfg *config.Config) certs.Storage {
	if cfg.Certificates == nil {
		return certs.Storage{}
	}
	return certs.Storage(*cfg.Certificates)
}

// certificateStatus returns the certificates in service, for the metrics.
func (a *App) certificateStatus() []metrics.Certificate {
	var list []metrics.Certificate
	for _, s := range a.certs.Status() {
		list = append(list, metrics.Certificate(s))
	}
	return list
}
