package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	signed := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a.cert, a.key = signed.Leaf, signed.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// sign completes and signs a certificate; the first one signs itself.
func (a *authority) sign(t *testing.T, cert *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestUpstreamTLS: the upstream's name, its authority and the certificate that it
// wants of attache, over both protocols.
func TestUpstreamTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	server := ca.sign(t, &x509.Certificate{DNSNames: []string{"inner.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	client := func(a *authority) []tls.Certificate {
		return []tls.Certificate{a.sign(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "attache"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})}
	}
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto+" "+r.TLS.ServerName+" "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	up.Config.ErrorLog = log.New(io.Discard, "", 0)
	up.EnableHTTP2 = true
	up.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool}
	up.StartTLS()
	t.Cleanup(up.Close)
	for _, tc := range []struct {
		name, problem string // problem is of our own answer
		tls           *tls.Config
	}{
		{"as it should be", "", &tls.Config{RootCAs: ca.pool, ServerName: "inner.example", Certificates: client(ca)}},
		{"another name", errCertificate, &tls.Config{RootCAs: ca.pool, ServerName: "outer.example", Certificates: client(ca)}},
		{"the address for a name", errCertificate, &tls.Config{RootCAs: ca.pool, Certificates: client(ca)}},
		{"another authority", errCertificate, &tls.Config{RootCAs: other.pool, ServerName: "inner.example", Certificates: client(ca)}},
		{"no certificate of ours", errTLS, &tls.Config{RootCAs: ca.pool, ServerName: "inner.example"}},
		{"a certificate by a stranger", errTLS, &tls.Config{RootCAs: ca.pool, ServerName: "inner.example", Certificates: client(other)}},
	} {
		for protocol, proto := range map[string]string{"http1": "HTTP/1.1", "h2": "HTTP/2.0", "auto": "HTTP/2.0"} {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				rt, err := NewTransport(TransportConfig{Upstream: mustURL(t, up.URL), Protocol: protocol, TLS: tc.tls})
				if err != nil {
					t.Fatal(err)
				}
				defer rt.CloseIdleConnections()
				w := get(newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, up.URL) }), "/")
				if tc.problem != "" {
					got := strings.TrimPrefix(w.Header().Get("Proxy-Status"), "attache; error=")
					if tc.problem == errTLS && got == errTerminated {
						return // in TLS 1.3 the end of the connection may be noticed before the reason is read
					}
					if w.Code != 502 || got != tc.problem {
						t.Errorf("status %d, %q, want %s", w.Code, got, tc.problem)
					}
					return
				}
				if want := proto + " inner.example attache"; w.Code != 200 || w.Body.String() != want {
					t.Errorf("status %d, %q, want %q", w.Code, w.Body, want)
				}
			})
		}
	}
}

// TestAlertOfTheUpstream: crypto/tls has no type of its own for what the other
// side says once the handshake is over, as a refusal of our certificate is.
func TestAlertOfTheUpstream(t *testing.T) {
	rt := fakeTransport(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	})
	w := get(newProxy(t, &testPlan{}, rt, nil), "/")
	if got := w.Header().Get("Proxy-Status"); w.Code != 502 || got != "attache; error="+errTLS || !strings.Contains(w.Body.String(), "client certificate") {
		t.Errorf("status %d, %q: %s", w.Code, got, w.Body)
	}
}
