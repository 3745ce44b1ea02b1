package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/certs"
)

// TestACME has the real binary get certificates from Pebble.
func TestACME(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"TLSALPN01", acmeOverTLS}, {"HTTP01", acmeOverHTTP}, {"ExternalAccount", acmeWithAccount},
		{"RenewedAtStart", acmeRenewedAtStart}, {"RenewedWhileRunning", acmeRenewedWhileRunning},
		{"RenewalFails", acmeRenewalFails}, {"ReplicaAnswersChallenge", acmeReplicas}, {"MutualTLS", acmeMutual},
	}
	passed := 0
	for _, tt := range tests {
		if t.Run(tt.name, tt.run) {
			passed++
		}
	}
	record(t, suite{name: "certificates from Pebble, an ACME server", version: moduleVersion(t, "github.com/letsencrypt/pebble/v2"), tests: len(tests), passed: passed})
}

func acmeOverTLS(t *testing.T) {
	address := freeAddress(t)
	p := startPebble(t, pebbleOptions{tlsPort: portOf(address), validity: time.Hour})
	a := start(t, acmeConfiguration(p, address, "[a.example.com, b.example.com]", "", folderOf(t.TempDir())))
	for _, name := range []string{"a.example.com", "b.example.com"} {
		shown(t, &a.log, address, name, p.roots, nil)
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "c.example.com"}); err == nil {
		t.Error("a name that was not asked for is served")
	}
	if strings.Contains(a.log.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

func acmeOverHTTP(t *testing.T) {
	address, challenges := freeAddress(t), freeAddress(t)
	p := startPebble(t, pebbleOptions{httpPort: portOf(challenges), validity: time.Hour})
	a := start(t, acmeConfiguration(p, address, "a.example.com", ", http: "+challenges, folderOf(t.TempDir())))
	shown(t, &a.log, address, "a.example.com", p.roots, nil)
	answer, err := http.Get("http://" + challenges + "/.well-known/acme-challenge/x")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("without a challenge the answer is %s", answer.Status)
	}
}

// acmeWithAccount: an ACME server that knows its customers.
func acmeWithAccount(t *testing.T) {
	const hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	address := freeAddress(t)
	p := startPebble(t, pebbleOptions{tlsPort: portOf(address), validity: time.Hour, macKeys: map[string]string{"kid-1": hmac}})
	a := start(t, acmeConfiguration(p, address, "a.example.com", ", eab: {kid: kid-1, hmac: "+hmac+"}", folderOf(t.TempDir())))
	shown(t, &a.log, address, "a.example.com", p.roots, nil)
	if strings.Contains(a.log.String(), hmac) {
		t.Error("the account's key is in the log")
	}
}

// acmeRenewedAtStart: a certificate that has little time left when attache starts
// is shown, and replaced.
func acmeRenewedAtStart(t *testing.T) {
	address, folder := freeAddress(t), t.TempDir()
	p := startPebble(t, pebbleOptions{tlsPort: portOf(address), validity: 2 * time.Minute}) // less than 5 of the looks that attache takes
	configuration := acmeConfiguration(p, address, "a.example.com", "", folderOf(folder))
	var first *x509.Certificate
	t.Run("first", func(t *testing.T) {
		a := start(t, configuration)
		first = shown(t, &a.log, address, "a.example.com", p.roots, nil)
	})
	a := start(t, configuration)
	shown(t, &a.log, address, "a.example.com", p.roots, func(now *x509.Certificate) error {
		if now.Equal(first) {
			return errors.New("it is the old one still")
		}
		return nil
	})
	if !strings.Contains(a.log.String(), `"renewal":true`) {
		t.Errorf("it was not renewed:\n%s", &a.log)
	}
}

// inProcess is what attache has for certificates, in this process: the binary looks
// every 10 minutes whether one is due, which is too seldom for a test.
type inProcess struct {
	address        string
	log            lockedLines
	issued, failed atomic.Int64
}

// startInProcess serves a.example.com on address, with a certificate of p, until
// the test ends.
func startInProcess(t *testing.T, p *pebble, address string) *inProcess {
	t.Helper()
	r, folder := &inProcess{address: address}, t.TempDir() // which is removed after Close
	c := certs.New(certs.Config{
		Log:        slog.New(slog.NewTextHandler(lineWriter{&r.log}, nil)),
		RenewCheck: time.Second,
		Issued: func(_ string, err error) {
			if err != nil {
				r.failed.Add(1)
			} else {
				r.issued.Add(1)
			}
		},
	})
	t.Cleanup(c.Close)
	change, err := c.Prepare(t.Context(), certs.Settings{
		Storage: certs.Storage{Folder: folder},
		Listeners: map[string]certs.Listener{"l": {Address: address, ACME: &certs.ACME{
			Names: []string{"a.example.com"}, Directory: p.directory, Roots: poolOf(t, p.ca),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", address, c.ServerConfig("l"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	change.Commit()
	return r
}

// acmeRenewedWhileRunning: certificates are renewed while clients connect, and no
// handshake fails.
func acmeRenewedWhileRunning(t *testing.T) {
	const renewals = 3
	address := freeAddress(t)
	p := startPebble(t, pebbleOptions{tlsPort: portOf(address), validity: 15 * time.Second})
	r := startInProcess(t, p, address)
	serials := map[string]bool{shown(t, &r.log, address, "a.example.com", p.roots, nil).SerialNumber.String(): true}
	handshakes := 0
	for deadline := time.Now().Add(4 * patience); len(serials) <= renewals && time.Now().Before(deadline); handshakes++ {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: p.roots, ServerName: "a.example.com"})
		if err != nil {
			t.Fatalf("handshake %d failed: %v\n%s", handshakes, err, &r.log)
		}
		serials[conn.ConnectionState().PeerCertificates[0].SerialNumber.String()] = true
		conn.Close()
	}
	if len(serials) <= renewals || r.failed.Load() > 0 {
		t.Errorf("%d certificates were shown, %d issued, %d failed\n%s", len(serials), r.issued.Load(), r.failed.Load(), &r.log)
	}
	t.Logf("%d handshakes over %d certificates, none failed", handshakes, len(serials))
}

// acmeRenewalFails: when the ACME server is away, a renewal that fails is counted
// and logged, and the old certificate stays in service.
func acmeRenewalFails(t *testing.T) {
	address := freeAddress(t)
	p := startPebble(t, pebbleOptions{tlsPort: portOf(address), validity: 20 * time.Second})
	r := startInProcess(t, p, address)
	first := shown(t, &r.log, address, "a.example.com", p.roots, nil)
	p.stop()
	await(t, "a renewal that fails", func(context.Context) error {
		if r.failed.Load() == 0 || !strings.Contains(r.log.String(), "level=ERROR") {
			return errors.New("there is none yet")
		}
		return nil
	})
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com"}) // its time may be over
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !conn.ConnectionState().PeerCertificates[0].Equal(first) {
		t.Error("another certificate is shown")
	}
	if !strings.Contains(r.log.String(), "a.example.com") || !strings.Contains(r.log.String(), "connection refused") {
		t.Errorf("the log does not say what failed:\n%s", &r.log)
	}
}

// acmeReplicas: two processes share a Redis. The one that gets the certificate is
// not the one that the challenge reaches.
func acmeReplicas(t *testing.T) {
	redis := startRedis(t)
	reached, other := freeAddress(t), freeAddress(t)
	p := startPebble(t, pebbleOptions{tlsPort: portOf(reached), validity: time.Hour})
	first := start(t, acmeConfiguration(p, reached, "a.example.com", "", redis.storage()))
	leaf := shown(t, &first.log, reached, "a.example.com", p.roots, nil)
	shared := start(t, acmeConfiguration(p, freeAddress(t), "a.example.com", "", redis.storage()))
	shown(t, &shared.log, shared.address, "a.example.com", p.roots, func(c *x509.Certificate) error {
		if !c.Equal(leaf) {
			return errors.New("replicas have different certificates")
		}
		return nil
	})
	redis.forgetCertificates(t)
	second := start(t, acmeConfiguration(p, other, "a.example.com", "", redis.storage()))
	shown(t, &second.log, other, "a.example.com", p.roots, func(c *x509.Certificate) error {
		if c.Equal(leaf) {
			return errors.New("it is the old one")
		}
		return nil
	})
	if dump := redis.dump(t); strings.Contains(dump, "BEGIN") || strings.Contains(dump, "ops@") {
		t.Error("what is in Redis can be read")
	}
}

// acmeMutual: a caller is known by its certificate on a listener whose own comes
// by ACME.
func acmeMutual(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "reached") }))
	defer upstream.Close()
	ca, caFile := clientAuthority(t)
	address := freeAddress(t)
	p := startPebble(t, pebbleOptions{tlsPort: portOf(address), validity: time.Hour})
	a := start(t, fmt.Sprintf(`listen:
  - address: %s
    tls: {client_ca: %q, acme: {names: a.example.com, directory: %q, ca: %q}}
    callers: [{certificate: app.example.com}]
    hosts: a.example.com
certificates: %s
routes: [{upstream: %q}]
`, address, caFile, p.directory, p.ca, folderOf(t.TempDir()), upstream.URL))
	shown(t, &a.log, address, "a.example.com", p.roots, nil)
	stranger, _ := clientAuthority(t)
	for _, tt := range []struct {
		what   string
		with   *tls.Certificate
		status int // 0: no handshake
	}{
		{"the caller", ca.client(t, "app.example.com"), 200},
		{"another of the same authority", ca.client(t, "other.example.com"), 407},
		{"nobody", nil, 407},
		{"one of another authority", stranger.client(t, "app.example.com"), 0},
	} {
		config := &tls.Config{RootCAs: p.roots, ServerName: "a.example.com"}
		if tt.with != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.with, nil }
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}, Timeout: patience}
		status := 0
		if answer, err := client.Get("https://" + address + "/"); err == nil {
			status = answer.StatusCode
			answer.Body.Close()
		}
		if status != tt.status {
			t.Errorf("%s is answered %d, want %d", tt.what, status, tt.status)
		}
	}
}
