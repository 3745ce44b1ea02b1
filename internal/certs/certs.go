// Package certs gives listeners their TLS configurations: with the certificates
// of files, of attache's own CA, or of an ACME server. It owns which
// certificates are in service, obtains and renews those that it can, and keeps
// them in a folder or in Redis.
//
// A change of settings is prepared first, while the old ones stay in service,
// and then committed or discarded as a whole. Handshakes ask for what is in
// service when they begin, so no listener has to be replaced for a new
// certificate or a new list of those who may issue the callers'.
//
// Certificates are managed by certmagic, with caches and configurations of this
// package's own: none of certmagic's defaults is used or changed. What
// certmagic keeps per process all the same is which ACME challenges are open.
// OCSP responses are not stapled: Let's Encrypt has none any more, and asking
// for those of other certificates would call a server that nobody configured.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"attache/internal/secret"
)

// Config says what all certificates have in common.
type Config struct {
	Log *slog.Logger // must be set
	// Issued is called whenever a certificate was obtained or renewed, or could
	// not be: then err says why. It may be called concurrently and must not
	// block. Nil: nobody is told.
	Issued func(name string, err error)
	// RenewCheck is how often certificates are looked at whether they are due;
	// 0: every 10 minutes. One that expires within five times as long is
	// renewed at once.
	RenewCheck time.Duration
}

// Settings say which certificates there are. Every listener that speaks TLS has
// a key, by which [Certificates.ServerConfig] finds it and which stays the same
// when settings change.
type Settings struct {
	// Storage must be set if a listener has Internal or ACME.
	Storage   Storage
	Listeners map[string]Listener
}

// Listener says where the certificates of one listener come from. Exactly one of
// Certificate, Internal and ACME is set.
type Listener struct {
	// Certificate is shown whatever name a client asks for.
	Certificate *tls.Certificate
	// Internal holds the names and IP addresses that attache's own CA issues
	// certificates for. A client that asks for no name is shown that of the
	// address that it connected to, or else the first.
	Internal []string
	// ACME gets certificates from an ACME server.
	ACME *ACME
	// Address is where the listener listens, as HOST:PORT. It is needed by ACME
	// without HTTP alone.
	Address string
	// ClientCA holds those who may issue clients' certificates. A client need not
	// show one, but one that does not verify ends the handshake. Nil: no client
	// is asked.
	ClientCA *x509.CertPool
}

// ACME says from whom certificates come (RFC 8555). Using it accepts the terms
// of service of the server.
type ACME struct {
	// Names are DNS names or IP addresses, at least one. Each gets a certificate
	// of its own. A client that asks for no name is shown the first.
	Names []string
	// Directory is the URL of the server's directory, https.
	Directory string
	// Email is told to the server; empty: none is.
	Email string
	// Roots are those that the server's own certificate has to come from; nil:
	// the system's.
	Roots *x509.CertPool
	// KeyID and HMAC, which is base64url, bind the account to one that exists
	// already (RFC 8555 section 7.3.4); empty: it is not bound.
	KeyID string
	HMAC  secret.String
	// HTTP is the address on which HTTP-01 challenges are answered. It is open as
	// long as the listener is, so that every replica can answer for the others.
	// Empty: TLS-ALPN-01 challenges are answered (RFC 8737), on the listener.
	HTTP string
}

// Status is a certificate in service.
type Status struct {
	// Name is the first that the certificate is for.
	Name     string
	NotAfter time.Time
}

// Certificates are those in service. [Certificates.Prepare] and the methods of
// the [Change] that it returns are for one goroutine at a time, all others may be
// called concurrently.
type Certificates struct {
	cfg     Config
	current atomic.Pointer[state]
	// closing counts what was taken out of service and still has to end.
	closing sync.WaitGroup
}

// state is what is in service. It does not change.
type state struct {
	settings  Settings
	storage   *storage // nil: there is none
	listeners map[string]*listener
	servers   map[string]*challengeServer // by address
}

// listener is a listener in service.
type listener struct {
	settings Listener
	source   *source // nil: the certificate is that of the settings
	// tickets holds the keys of TLS session tickets. A resumed session skips the
	// client's certificate, so there are others for another ClientCA: a session
	// from before the change begins anew.
	tickets *tls.Config
	config  *tls.Config
}

// New returns Certificates with none in service.
func New(cfg Config) *Certificates {
	c := &Certificates{cfg: cfg}
	c.current.Store(&state{})
	return c
}

// errNotServed says that a listener has no settings; it is closed, or about to.
var errNotServed = errors.New("no certificate is in service for this listener")

// ServerConfig returns the TLS configuration for the listener of that key, which
// may be made before settings with that key are committed. Handshakes in between
// fail. Protocols are h2 and http/1.1, versions TLS 1.2 and 1.3.
func (c *Certificates) ServerConfig(key string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols(),
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if l := c.current.Load().listeners[key]; l != nil {
				return l.config, nil
			}
			return nil, errNotServed
		},
	}
}

func protocols() []string { return []string{"h2", "http/1.1"} }

// serverConfig returns what handshakes of the listener use.
func (l *listener) serverConfig() *tls.Config {
	t := &tls.Config{
		MinVersion:    tls.VersionTLS12,
		NextProtos:    protocols(),
		ClientCAs:     l.settings.ClientCA,
		WrapSession:   l.tickets.EncryptTicket,
		UnwrapSession: l.tickets.DecryptTicket,
	}
	if t.ClientCAs != nil {
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if l.source == nil {
		t.Certificates = []tls.Certificate{*l.settings.Certificate}
		return t
	}
	t.GetCertificate = l.source.certificate
	if a := l.settings.ACME; a != nil && a.HTTP == "" {
		t.NextProtos = append(t.NextProtos, challengeProtocol)
	}
	return t
}

// Status returns the certificates in service, those of attache's CA itself
// included, in the order of their names. A name whose certificate is still to
// come is not among them. Of several certificates of one name it is the one that
// expires first.
func (c *Certificates) Status() []Status {
	byName := map[string]Status{}
	for _, l := range c.current.Load().listeners {
		list := []Status{}
		if l.source != nil {
			list = l.source.status()
		} else if leaf := l.settings.Certificate.Leaf; leaf != nil {
			list = append(list, Status{nameOf(leaf), leaf.NotAfter})
		}
		for _, s := range list {
			if known, ok := byName[s.Name]; !ok || s.NotAfter.Before(known.NotAfter) {
				byName[s.Name] = s
			}
		}
	}
	var all []Status
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// nameOf returns the first name that a certificate is for.
func nameOf(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return strings.ToLower(c.DNSNames[0])
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return "unnamed"
}

// closeTime bounds how long [Certificates.Close] waits.
const closeTime = 2 * time.Second

// Close takes everything out of service and waits a moment for it to end.
// Handshakes fail from now on.
func (c *Certificates) Close() {
	c.retire(c.current.Swap(&state{}), &state{})
	ended := make(chan struct{})
	go func() {
		c.closing.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeTime): // an ACME server may be slow to answer
	}
}
