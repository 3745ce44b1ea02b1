package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// signer issues certificates.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSigner(t *testing.T, name string) *signer {
	t.Helper()
	s := &signer{}
	s.cert, s.key = s.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return s
}

func (s *signer) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, with := s.cert, s.key
	if parent == nil {
		parent, with = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// pair returns the certificate of a server, or of a client.
func (s *signer) pair(t *testing.T, name string, use x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	cert, key := s.sign(t, &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{use}})
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (s *signer) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.cert)
	return pool
}

func files(c *tls.Certificate, clients *x509.CertPool) Settings {
	return Settings{Listeners: map[string]Listener{"l": {Certificate: c, ClientCA: clients}}}
}

// newCertificates returns Certificates that end with the test.
func newCertificates(t *testing.T, cfg Config) *Certificates {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet()
	}
	t.TempDir() // the first call: folders are removed after Close
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

func apply(t *testing.T, c *Certificates, s Settings) {
	t.Helper()
	ch, err := c.Prepare(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ch.Commit()
}

// serve opens a listener of that key which writes one byte to whoever completes
// a handshake, as HTTP servers do, and returns its address.
func serve(t *testing.T, c *Certificates, key string) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.ServerConfig(key))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				if conn.(*tls.Conn).Handshake() == nil {
					conn.Write([]byte{1})
				}
				io.Copy(io.Discard, conn) // until the client closes
			})
		}
	})
	return l.Addr().String()
}

// handshake connects, and reads the server's byte: only then does a client of
// TLS 1.3 know that the server is content, and it has its session ticket.
func handshake(ctx context.Context, address string, cfg *tls.Config) (tls.ConnectionState, error) {
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.(*tls.Conn).ConnectionState(), nil
}

// Certificates are swapped while clients connect, and not one handshake fails.
func TestSwapUnderLoad(t *testing.T) {
	const clients, swaps = 8, 60
	ca := newSigner(t, "ca")
	c := newCertificates(t, Config{})
	apply(t, c, files(ca.pair(t, "a.test", x509.ExtKeyUsageServerAuth), nil))
	address := serve(t, c, "l")
	done, shaken := make(chan struct{}), make(chan string)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for {
				serial := "none"
				state, err := handshake(t.Context(), address, &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"})
				if err != nil {
					t.Errorf("a handshake failed: %v", err)
				} else {
					serial = state.PeerCertificates[0].SerialNumber.String()
				}
				select {
				case shaken <- serial:
				case <-done:
					return
				}
			}
		})
	}
	seen := map[string]int{}
	for range swaps {
		for range clients / 2 { // so that every pair is in use for a while
			seen[<-shaken]++
		}
		apply(t, c, files(ca.pair(t, "a.test", x509.ExtKeyUsageServerAuth), nil))
	}
	close(done)
	all.Wait()
	t.Logf("%d handshakes over %d certificates", swaps*clients/2, len(seen))
	if len(seen) < 2 {
		t.Error("the certificates were not swapped")
	}
}

// A changed list of those who may issue clients' certificates holds at once, for
// sessions from before as well.
func TestChangedClientCA(t *testing.T) {
	ca, first, second := newSigner(t, "ca"), newSigner(t, "first"), newSigner(t, "second")
	cert := ca.pair(t, "a.test", x509.ExtKeyUsageServerAuth)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := newCertificates(t, Config{})
		address := serve(t, c, "l")
		client := func(with *tls.Certificate) *tls.Config {
			cfg := &tls.Config{RootCAs: ca.pool(), ServerName: "a.test", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			if with != nil {
				// Certificates would keep back what the server does not ask for.
				cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return with, nil }
			}
			return cfg
		}
		want := func(what string, cfg *tls.Config, ok, resumed bool) {
			t.Helper()
			state, err := handshake(t.Context(), address, cfg)
			if (err == nil) != ok || err == nil && state.DidResume != resumed {
				t.Errorf("%s, %s: resumed %v, %v", tls.VersionName(version), what, state.DidResume, err)
			}
		}
		known, anonymous := client(first.pair(t, "me", x509.ExtKeyUsageClientAuth)), client(nil)
		apply(t, c, files(cert, first.pool()))
		want("a first session", known, true, false)
		want("a second session", known, true, true)
		want("nobody", anonymous, true, false)
		apply(t, c, files(ca.pair(t, "a.test", x509.ExtKeyUsageServerAuth), first.pool()))
		want("another certificate of the server", known, true, true)
		want("another certificate of the server, nobody", anonymous, true, true)
		apply(t, c, files(cert, second.pool()))
		want("another client_ca", known, false, false)
		want("another client_ca, nobody", anonymous, true, false)
		apply(t, c, files(cert, nil))
		want("no client_ca", known, true, false)
	}
}

// Settings that cannot be used change nothing, and neither do those that are
// given up.
func TestPrepareChangesNothing(t *testing.T) {
	ca := newSigner(t, "ca")
	cert := ca.pair(t, "a.test", x509.ExtKeyUsageServerAuth)
	c := newCertificates(t, Config{})
	apply(t, c, files(cert, nil))
	address := serve(t, c, "l")
	blocker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	bad := Settings{Storage: Storage{Folder: t.TempDir()}, Listeners: map[string]Listener{"l": {
		ACME: &ACME{Names: []string{"b.test"}, Directory: "https://127.0.0.1:1/", HTTP: blocker.Addr().String()},
	}}}
	if _, err := c.Prepare(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "listen for ACME challenges") {
		t.Errorf("an address that is taken gives %v", err)
	}
	ch, err := c.Prepare(t.Context(), files(ca.pair(t, "other.test", x509.ExtKeyUsageServerAuth), nil))
	if err != nil {
		t.Fatal(err)
	}
	ch.Discard()
	state, err := handshake(t.Context(), address, &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"})
	if err != nil || !state.PeerCertificates[0].Equal(cert.Leaf) {
		t.Errorf("after both there is %v", err)
	}
	if list := c.Status(); len(list) != 1 || list[0].Name != "a.test" || !list[0].NotAfter.Equal(cert.Leaf.NotAfter) {
		t.Errorf("the status is %+v", list)
	}
	apply(t, c, Settings{})
	if _, err := handshake(t.Context(), address, &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"}); err == nil {
		t.Error("a listener without settings is served")
	}
}

// An http.Server speaks HTTP/2 by this configuration.
func TestHTTP2IsNegotiated(t *testing.T) {
	ca := newSigner(t, "ca")
	c := newCertificates(t, Config{})
	apply(t, c, files(ca.pair(t, "a.test", x509.ExtKeyUsageServerAuth), nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{TLSConfig: c.ServerConfig("l"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })}
	ended := make(chan error)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"}, ForceAttemptHTTP2: true}
	ans, err := (&http.Client{Transport: tr}).Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(ans.Body)
	if err != nil || string(body) != "HTTP/2.0" {
		t.Errorf("got %q, %v", body, err)
	}
	ans.Body.Close()
	tr.CloseIdleConnections()
	server.Close()
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
