package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func internal(folder string, names ...string) Settings {
	return Settings{Storage: Storage{Folder: folder}, Listeners: map[string]Listener{
		"l": {Internal: append([]string{"localhost", "127.0.0.1", "::1"}, names...)},
	}}
}

// rootOf returns the root in a folder, as those who trust it have it.
func rootOf(t *testing.T, folder string) (*x509.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := Root(t.Context(), Storage{Folder: folder}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return cert, pool
}

func TestInternal(t *testing.T) {
	folder := t.TempDir()
	c := newCertificates(t, Config{})
	address := serve(t, c, "l")
	apply(t, c, internal(folder, "attache.default.svc", "10.0.0.5"))
	root, pool := rootOf(t, folder)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "attache.default.svc", "10.0.0.5"} {
		// Whoever asks for an address sends no name, and gets the certificate of
		// the address that he reached.
		_, err := handshake(t.Context(), address, &tls.Config{RootCAs: pool, ServerName: name})
		if reached := name != "::1" && name != "10.0.0.5"; reached != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t.Context(), address, &tls.Config{RootCAs: pool, ServerName: "other.svc"}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that is not configured: %v", err)
	}
	var names []string
	for _, s := range c.Status() {
		names = append(names, s.Name)
	}
	if got, want := strings.Join(names, " "), "10.0.0.5 127.0.0.1 ::1 "+root.Subject.CommonName+" attache.default.svc localhost"; got != want {
		t.Errorf("the status has %s, want %s", got, want)
	}
}

// A process that starts later has the same CA and the same certificates, and so
// has one whose settings changed.
func TestInternalIsKept(t *testing.T) {
	_, inRedis := inRedis(t)
	for _, storage := range []Storage{{Folder: t.TempDir()}, inRedis} {
		serial := func(c *Certificates) string {
			t.Helper()
			address := serve(t, c, "l")
			root, err := Root(t.Context(), storage, quiet())
			if err != nil {
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AddCert(root)
			state, err := handshake(t.Context(), address, &tls.Config{RootCAs: pool, ServerName: "localhost"})
			if err != nil {
				t.Fatal(err)
			}
			return state.PeerCertificates[0].SerialNumber.String()
		}
		settings := internal("")
		settings.Storage = storage
		first := newCertificates(t, Config{})
		apply(t, first, settings)
		want := serial(first)
		more := internal("", "added.svc")
		more.Storage = storage
		apply(t, first, more)
		if got := serial(first); got != want {
			t.Errorf("%+v: a name was added, and localhost has another certificate", storage)
		}
		second := newCertificates(t, Config{})
		apply(t, second, settings)
		if got := serial(second); got != want {
			t.Errorf("%+v: another process has another certificate", storage)
		}
	}
}

// A folder that nothing can be written to ends the start, with its name.
func TestInternalNeedsStorage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCertificates(t, Config{})
	if _, err := c.Prepare(t.Context(), internal(filepath.Join(file, "state"))); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

// What a crash left half written is replaced, and what cannot be read is not.
func TestStoredCertificateOfNoUse(t *testing.T) {
	folder := t.TempDir()
	apply(t, newCertificates(t, Config{}), internal(folder))
	keys, err := filepath.Glob(filepath.Join(folder, "certificates", "internal", "localhost", "*.key"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%q, %v", keys, err)
	}
	other, err := filepath.Glob(filepath.Join(folder, "certificates", "internal", "127.0.0.1", "*.key"))
	if err != nil || len(other) != 1 {
		t.Fatalf("%q, %v", other, err)
	}
	data, err := os.ReadFile(other[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := newCertificates(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	apply(t, c, internal(folder))
	_, pool := rootOf(t, folder)
	if _, err := handshake(t.Context(), serve(t, c, "l"), &tls.Config{RootCAs: pool, ServerName: "localhost"}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "is replaced") {
		t.Errorf("nobody is told:\n%s", log.String())
	}

	if err := os.Remove(keys[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(keys[0], 0o700); err != nil { // nothing can read it, root neither
		t.Fatal(err)
	}
	if _, err := newCertificates(t, Config{}).Prepare(t.Context(), internal(folder)); err == nil {
		t.Error("a storage that cannot be read is no reason to stop")
	}
	if _, err := os.Stat(keys[0]); err != nil {
		t.Errorf("it was removed: %v", err)
	}
}

// For a month of virtual time certificates are renewed long before their end.
func TestInternalIsRenewed(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		issued := map[string]int{}
		c := New(Config{Log: quiet(), Issued: func(name string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if issued[name]++; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}})
		apply(t, c, internal(folder))
		for range 30 * 24 {
			time.Sleep(time.Hour)
			synctest.Wait()
			for _, s := range c.Status() {
				if left := time.Until(s.NotAfter); left < leafLifetime/4 {
					t.Fatalf("%s has %v left", s.Name, left)
				}
			}
		}
		c.Close()
		time.Sleep(time.Minute) // the locks' goroutines
		mu.Lock()
		defer mu.Unlock()
		for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
			if n := issued[name]; n < 5 || n > 10 {
				t.Errorf("%s was issued %d times", name, n)
			}
		}
	})
}

// request makes a request for a certificate.
func request(t *testing.T, names ...string) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func issueAt(t *testing.T, r *root, now time.Time) *x509.Certificate {
	t.Helper()
	text, err := r.issue(request(t, "a.svc"), now)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// No certificate outlives its root, and an expired root issues none.
func TestLeavesEndWithTheRoot(t *testing.T) {
	now := time.Now()
	r, err := newRoot(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	end := r.cert.NotAfter
	for _, tt := range []struct {
		at   time.Time
		want time.Time
	}{
		{now, now.Add(leafLifetime).Truncate(time.Second)},
		{end.Add(-time.Hour), end},
		{end.Add(-time.Second), end},
	} {
		if got := issueAt(t, r, tt.at).NotAfter; !got.Equal(tt.want.UTC()) {
			t.Errorf("issued at %v it ends at %v, want %v", tt.at, got, tt.want)
		}
	}
	if _, err := r.issue(request(t, "a.svc"), end); err == nil || !strings.Contains(err.Error(), "attache ca renew") {
		t.Errorf("an expired root gives %v", err)
	}
}

// A renewed root verifies what the old one issued, and the old one, as long as it
// lasts, what the new one issues.
func TestRenewedRootVerifiesTheOldOnesCertificates(t *testing.T) {
	storage := Storage{Folder: t.TempDir()}
	first, err := Root(t.Context(), storage, quiet())
	if err != nil {
		t.Fatal(err)
	}
	st := opened(t, storage)
	before, err := loadRoot(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	second, err := RenewRoot(t.Context(), storage, quiet())
	if err != nil {
		t.Fatal(err)
	}
	after, err := loadRoot(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if first.Equal(second) || !after.cert.Equal(second) || !before.cert.Equal(first) {
		t.Error("the root was not renewed")
	}
	for _, issuer := range []*root{before, after} {
		leaf := issueAt(t, issuer, time.Now())
		for _, trusted := range []*x509.Certificate{first, second} {
			pool := x509.NewCertPool()
			pool.AddCert(trusted)
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "a.svc"}); err != nil {
				t.Error(err)
			}
			// It is good for servers alone.
			_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			if err == nil {
				t.Error("a certificate of a server is one of a client as well")
			}
		}
	}
}

// The root itself cannot be the authority for clients, whatever is below it.
func TestRootIsForServersAlone(t *testing.T) {
	r, err := newRoot(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := &x509.Certificate{DNSNames: []string{"me"}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, client, r.cert, key.Public(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(r.cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: client.ExtKeyUsage}); err == nil {
		t.Error("the root vouches for clients")
	}
	if r.cert.MaxPathLen != 0 || !r.cert.MaxPathLenZero {
		t.Error("there may be authorities below the root")
	}
}

// A stored root that is damaged is neither used nor replaced by a new one: all
// clients would have to trust that anew.
func TestDamagedRootIsKept(t *testing.T) {
	storage := Storage{Folder: t.TempDir()}
	st := opened(t, storage)
	one, err := newRoot(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, err := newRoot(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := (&root{one.cert, other.key}).marshal()
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range map[string][]byte{"empty": {}, "text": []byte("hello"), "certificate alone": certificatePEM(one.cert.Raw), "another's key": mixed} {
		if err := st.Store(t.Context(), rootKey, data); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func(context.Context, Storage, *slog.Logger) (*x509.Certificate, error){"Root": Root, "RenewRoot": RenewRoot} {
			if _, err := f(t.Context(), storage, quiet()); !errors.Is(err, errBadRoot) {
				t.Errorf("%s of a root that is %s: %v", name, what, err)
			}
		}
		if kept, err := st.Load(t.Context(), rootKey); err != nil || !bytes.Equal(kept, data) {
			t.Errorf("%s: it was replaced (%v)", what, err)
		}
	}
}

// Of many that make the root at the same time one makes it.
func TestRootIsMadeOnce(t *testing.T) {
	storage := Storage{Folder: t.TempDir()}
	roots := make([]*x509.Certificate, 5)
	var all sync.WaitGroup
	for i := range roots {
		all.Go(func() {
			var err error
			if roots[i], err = Root(t.Context(), storage, quiet()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, r := range roots {
		if r != nil && !r.Equal(roots[0]) {
			t.Error("there are two")
		}
	}
}
