package config

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"time"

	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// ServerTLS is what a listener needs to speak TLS. Exactly one of Certificate,
// Internal and ACME is set.
type ServerTLS struct {
	// Certificate is the pair of two files. Behind a pointer, so that printing
	// shows no key.
	Certificate *tls.Certificate
	// Internal holds the names, in lower case, and IP addresses for which
	// attache's own CA issues certificates: always localhost, 127.0.0.1 and ::1
	// as well. Nil: it issues none.
	Internal []string
	// ACME says from whom certificates come; nil: from nobody.
	ACME *ACME
	// ClientCA holds those who may issue the certificates of callers; nil: no
	// certificate is asked for.
	ClientCA *x509.CertPool

	asks bool // client_ca is given, right or wrong
}

// ACME says from whom, and how, a listener gets its certificates (RFC 8555).
type ACME struct {
	// Names are DNS names in lower case, or IP addresses; at least one. Each
	// gets a certificate of its own.
	Names []string
	// Directory is the URL of the server's directory; Let's Encrypt's when the
	// file names none.
	Directory string
	// Email is told to the server; empty: none is.
	Email string
	// Roots are those that the server's own certificate has to come from; nil:
	// the system's.
	Roots *x509.CertPool
	// EAB binds the account to one that exists already (RFC 8555 section 7.3.4);
	// nil: it is not bound.
	EAB *EAB
	// HTTP is the address on which HTTP-01 challenges are answered. Empty:
	// TLS-ALPN-01 is answered (RFC 8737), on the listener itself.
	HTTP string

	at yamldoc.Value // of http, or of the whole
}

// EAB is an external account of an ACME server.
type EAB struct {
	KeyID string
	HMAC  secret.String // base64url
}

// letsEncrypt is the directory that is asked when the file names none.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// loopbackNames are what every certificate of attache's own CA is for.
var loopbackNames = [...]string{"localhost", "127.0.0.1", "::1"}

// serverTLS reads {cert, key}, {internal} or {acme}, each with client_ca.
func (l *loader) serverTLS(v yamldoc.Value) *ServerTLS {
	t := &ServerTLS{}
	before := l.rep.Len()
	o := v.Object(serverTLSShape())
	if !v.IsMap() {
		return t
	}
	switch kinds := present(o, "cert", "internal", "acme"); {
	case len(kinds) > 1:
		o.Get(kinds[1]).Errorf("%s and %s exclude each other: a listener has its certificates from one place", kinds[0], kinds[1])
	case o.Has("internal"):
		t.Internal = internalNames(o.Get("internal"))
	case o.Has("acme"):
		t.ACME = l.acme(o.Get("acme"))
	case o.Has("cert") || o.Has("key"):
		t.Certificate = l.pairOf(o)
	case l.rep.Len() == before: // else a misspelt key may be why
		v.Errorf("want cert and key, internal, or acme")
	}
	if !o.Has("cert") && (o.Has("internal") || o.Has("acme")) {
		o.Get("key").Errorf("key goes with cert")
	}
	if at := o.Get("client_ca"); !at.IsZero() {
		t.asks = true
		t.ClientCA = l.roots(at)
	}
	return t
}

// present returns those of keys that o has.
func present(o yamldoc.Object, keys ...string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return !o.Has(key) })
}

// pairOf reads cert and key, each as [loader.pem] takes it.
func (l *loader) pairOf(o yamldoc.Object) *tls.Certificate {
	cert, certOK := l.pem(o.Require("cert"))
	key, keyOK := l.pem(o.Require("key"))
	if !certOK || !keyOK {
		return nil
	}
	c := pair(o, cert, key)
	if c != nil && c.Leaf != nil && time.Now().After(c.Leaf.NotAfter) {
		l.warn(o.Get("cert").Problem("the certificate expired on %s", c.Leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
	return c
}

// internalNames reads true, or the names beside those of loopback. After a
// mistake it returns those of loopback.
func internalNames(v yamldoc.Value) []string {
	names := slices.Clone(loopbackNames[:])
	if text, ok := scalar(v); ok && text == "true" {
		return names
	}
	if text, ok := scalar(v); ok && text == "false" || v.IsNull() {
		v.Errorf("want true, or names; leave the key out to have none")
		return names
	}
	for _, item := range v.List(true) {
		if name, ok := hostName(item); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// acme reads how certificates come by ACME; nil after a mistake that leaves
// nothing to go on with.
func (l *loader) acme(v yamldoc.Value) *ACME {
	o := v.Object(acmeShape())
	if !v.IsMap() {
		return nil
	}
	a := &ACME{Directory: letsEncrypt, at: o.Self()}
	names := o.Require("names")
	for _, item := range names.List(true) {
		if name, ok := hostName(item); ok && !slices.Contains(a.Names, name) {
			a.Names = append(a.Names, name)
		}
	}
	if names.IsList() && len(names.List(false)) == 0 {
		names.Errorf("want at least one name")
	}
	if at := o.Get("directory"); !at.IsZero() {
		a.Directory = directory(at)
	}
	if at := o.Get("email"); !at.IsZero() {
		a.Email, _ = at.Text()
	}
	if at := o.Get("ca"); !at.IsZero() {
		a.Roots = l.roots(at)
	}
	if at := o.Get("eab"); !at.IsZero() {
		a.EAB = l.eab(at)
	}
	if at := o.Get("http"); !at.IsZero() {
		a.at = at
		a.HTTP, _, _ = hostPort(at)
		if _, port, _ := net.SplitHostPort(a.HTTP); port == "0" {
			at.Errorf("want a port that the ACME server knows: its challenge comes to port 80, or to what is forwarded from there")
		}
	}
	return a
}

// directory reads the URL of an ACME server's directory.
func directory(v yamldoc.Value) string {
	text, ok := v.Text()
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || !validHost(u) {
		v.Errorf("want the https:// URL of an ACME directory, such as %s", letsEncrypt)
		return ""
	}
	return text
}

// eab reads {kid, hmac}.
func (l *loader) eab(v yamldoc.Value) *EAB {
	o := v.Object(eabShape())
	if !v.IsMap() {
		return nil
	}
	e := &EAB{}
	e.KeyID, _ = o.Require("kid").Text()
	at := o.Require("hmac")
	var ok bool
	if e.HMAC, ok = l.value(at); ok && at.IsScalar() {
		l.warn(at.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
	}
	return e
}

// challengesKey names what has an address for challenges.
const challengesKey = "acme.http"

// challenges checks that a listener's ACME challenges can be answered: on the
// listener itself, or on an address that listeners may share with each other,
// but with nothing else.
func challenges(ln *Listener, use func(v yamldoc.Value, place, key string)) {
	if ln.TLS == nil || ln.TLS.ACME == nil {
		return
	}
	a := ln.TLS.ACME
	_, port, _ := net.SplitHostPort(ln.Address)
	switch {
	case a.HTTP != "":
		use(a.at, a.HTTP, challengesKey)
	case ln.Unix != nil:
		a.at.Errorf("no ACME server reaches a Unix socket: say with http on which address its challenges are answered")
	case port == "0":
		a.at.Errorf("the listener needs a port that the ACME server knows: its challenge comes to port 443, or to what is forwarded from there")
	}
}
