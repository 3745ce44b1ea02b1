package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// TLS says how to speak TLS to an upstream. The zero value means: trust the
// system's roots, show no certificate.
type TLS struct {
	roots       *x509.CertPool
	certificate *tls.Certificate // behind a pointer, so that printing shows no key
	serverName  string
}

// ClientConfig returns the settings as a new configuration of package tls.
func (t TLS) ClientConfig() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.roots, ServerName: t.serverName}
	if t.certificate != nil {
		c.Certificates = []tls.Certificate{*t.certificate}
	}
	return c
}

// IsZero reports whether nothing is set.
func (t TLS) IsZero() bool { return t == TLS{} }

// equal reports whether both say the same.
func (t TLS) equal(o TLS) bool {
	sameRoots := t.roots == o.roots || t.roots != nil && o.roots != nil && t.roots.Equal(o.roots)
	sameCertificate := t.certificate == o.certificate || t.certificate != nil && o.certificate != nil &&
		slices.EqualFunc(t.certificate.Certificate, o.certificate.Certificate, bytes.Equal)
	return sameRoots && sameCertificate && t.serverName == o.serverName
}

// SameUpstream reports whether both routes want the same of the same upstream,
// so that they can share its connections. Those whose upstreams tokens say do if
// the way is the same.
func (r *Route) SameUpstream(o *Route) bool {
	if moves := r.Upstream == nil; moves != (o.Upstream == nil) || !moves && *r.Upstream != *o.Upstream {
		return false
	}
	return r.Protocol == o.Protocol && r.TLS.equal(o.TLS) && r.Proxy.equal(o.Proxy) &&
		r.DialTimeout == o.DialTimeout && r.HeaderTimeout == o.HeaderTimeout
}

// SameWay reports whether the logins of both credentials reach their upstreams in
// the same way.
func (c *Credential) SameWay(o *Credential) bool { return c.TLS.equal(o.TLS) && c.Proxy.equal(o.Proxy) }

// Proxy says through which corporate proxy connections go. The zero value
// means: as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
type Proxy struct {
	none bool
	url  *url.URL // may hold a password
}

// Func returns what [http.Transport].Proxy wants.
func (p Proxy) Func() func(*http.Request) (*url.URL, error) {
	switch {
	case p.none:
		return nil
	case p.url != nil:
		return http.ProxyURL(p.url)
	}
	return http.ProxyFromEnvironment
}

// equal reports whether both say the same.
func (p Proxy) equal(o Proxy) bool {
	if p.url == nil || o.url == nil {
		return p == o
	}
	return p.url.String() == o.url.String()
}

// String returns "none", "env" or the URL, less its password.
func (p Proxy) String() string {
	switch {
	case p.none:
		return "none"
	case p.url != nil:
		return p.url.Redacted()
	}
	return "env"
}

// tls reads {ca, cert, key, server_name}. A scalar is the path of a PEM file;
// {env: NAME} gives the PEM text itself.
func (l *loader) tls(v yamldoc.Value) TLS {
	var t TLS
	o := v.Object(tlsShape())
	if at := o.Get("ca"); !at.IsZero() {
		t.roots = l.roots(at)
	}
	if o.Has("cert") != o.Has("key") {
		v.Errorf("cert and key go together")
	} else if o.Has("cert") {
		cert, certOK := l.pem(o.Get("cert"))
		key, keyOK := l.pem(o.Get("key"))
		if certOK && keyOK {
			t.certificate = pair(o, cert, key)
		}
	}
	if at := o.Get("server_name"); !at.IsZero() {
		t.serverName, _ = hostName(at)
	}
	return t
}

// roots reads the certificates that are trusted; nil after a mistake.
func (l *loader) roots(v yamldoc.Value) *x509.CertPool {
	pem, ok := l.pem(v)
	if !ok {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pem.Reveal())) {
		v.Errorf("there is no certificate in PEM form")
		return nil
	}
	return roots
}

// pair joins a certificate with its key. The messages of package tls name the
// types of PEM blocks, never their content.
func pair(o yamldoc.Object, cert, key secret.String) *tls.Certificate {
	c, err := tls.X509KeyPair([]byte(cert.Reveal()), []byte(key.Reveal()))
	if err != nil {
		o.Get("cert").Errorf("cert and key are no usable pair: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return nil
	}
	return &c
}

// pem reads the path of a PEM file, {file: PATH} or {env: NAME}.
func (l *loader) pem(v yamldoc.Value) (secret.String, bool) {
	text, ok := scalar(v)
	if !ok {
		return l.value(v)
	}
	if !isPath(text) {
		v.Errorf("want the path of a PEM file, or {env: NAME} for a variable that holds the text")
		return secret.String{}, false
	}
	return l.read(v, secret.File(l.path(text)))
}

// proxy reads env, none or the URL of a proxy, which may be {env: NAME} or
// {file: PATH} because it may hold a password; so no message repeats it.
func (l *loader) proxy(v yamldoc.Value) Proxy {
	if v.IsZero() {
		return Proxy{}
	}
	value, ok := l.value(v)
	if !ok {
		return Proxy{}
	}
	switch text := value.Reveal(); text {
	case "env":
		return Proxy{}
	case "none":
		return Proxy{none: true}
	default:
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" ||
			strings.Trim(u.Path, "/") != "" || strings.ContainsAny(text, "?#") || !validHost(u) {
			v.Errorf("want env, none or a URL such as http://proxy.example.com:3128")
			return Proxy{}
		}
		if _, hasPassword := u.User.Password(); hasPassword && v.IsScalar() {
			l.warn(v.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
		}
		return Proxy{url: u}
	}
}
