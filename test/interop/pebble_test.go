package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
)

// pebbleBinary is the path of Pebble, Let's Encrypt's ACME server for tests.
var pebbleBinary = sync.OnceValues(func() (string, error) {
	attache, err := binary() // whose folder is removed in the end
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(attache), "pebble")
	build := exec.Command("go", "build", "-o", path, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Pebble: %w\n%s", err, out)
	}
	return path, nil
})

// pebbleOptions say how an ACME server is.
type pebbleOptions struct {
	tlsPort, httpPort string // where it asks for challenges; empty: where nobody is
	validity          time.Duration
	macKeys           map[string]string // accounts that it demands, by name; empty: none
}

// pebble is a running ACME server, for which every name is 127.0.0.1.
type pebble struct {
	directory string
	ca        string         // file of the certificate of the server itself
	roots     *x509.CertPool // of the certificates that it issues
	log       lockedLines
	stop      func() // may be called before the test ends
}

// startPebble starts an ACME server that runs until the test ends.
func startPebble(t testing.TB, opt pebbleOptions) *pebble {
	t.Helper()
	path, err := pebbleBinary()
	if err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t)
	address, management, dns := freeAddress(t), freeAddress(t), freeAddress(t)
	port := func(text string) int {
		var n int
		fmt.Sscan(text, &n)
		return max(n, 1)
	}
	settings, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "managementListenAddress": management, "certificate": cert, "privateKey": key,
		"httpPort": port(opt.httpPort), "tlsPort": port(opt.tlsPort), "keyAlgorithm": "ecdsa",
		"externalAccountBindingRequired": len(opt.macKeys) > 0, "externalAccountMACKeys": opt.macKeys,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "all", "validityPeriod": int(opt.validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	resolve(t, dns)
	p := &pebble{directory: "https://" + address + "/dir", ca: cert, roots: x509.NewCertPool()}
	cmd := exec.Command(path, "-config", file, "-dnsserver", dns)
	// It waits, refuses nonces and remembers authorizations at random, unless told.
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.log.add(lines.Text())
		}
	}()
	p.stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		<-ended
		cmd.Wait()
	})
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("Pebble's log:\n%s", &p.log)
		}
	})
	p.fetchRoots(t, "https://"+management+"/roots/0")
	return p
}

// fetchRoots waits for the server and gets its root.
func (p *pebble) fetchRoots(t testing.TB, url string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: poolOf(t, p.ca)}, DisableKeepAlives: true}}
	await(t, "Pebble", func(context.Context) error {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && !p.roots.AppendCertsFromPEM(text) {
			err = fmt.Errorf("no certificate in %q", text)
		}
		return err
	})
}

// resolve runs a DNS server for which every name is 127.0.0.1.
func resolve(t testing.TB, address string) {
	t.Helper()
	server, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{address}, Log: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	server.SetDefaultDNSIPv4("127.0.0.1")
	server.SetDefaultDNSIPv6("")
	go server.Run()
	t.Cleanup(server.Shutdown)
	await(t, "the DNS server", func(context.Context) error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func poolOf(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s has no certificate", file)
	}
	return pool
}

// await asks until there is no error.
func await(t testing.TB, what string, f func(ctx context.Context) error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); {
		if err = f(t.Context()); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // asking again, until the deadline
	}
	t.Fatalf("%s: %v", what, err)
}

// shown returns the certificate that is shown for a name, once a verified one is.
func shown(t testing.TB, a fmt.Stringer, address, name string, roots *x509.CertPool, more func(*x509.Certificate) error) *x509.Certificate {
	t.Helper()
	var got *x509.Certificate
	defer func() {
		if got == nil {
			t.Logf("the log is:\n%s", a)
		}
	}()
	await(t, "a certificate for "+name, func(ctx context.Context) error {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name}}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
		if more != nil {
			if err := more(leaf); err != nil {
				return err
			}
		}
		got = leaf
		return nil
	})
	return got
}

// acmeConfiguration is a configuration with one listener that asks p.
func acmeConfiguration(p *pebble, address, names, more, storage string) string {
	return fmt.Sprintf(`listen:
  - address: %s
    tls: {acme: {names: %s, directory: %q, ca: %q, email: ops@example.com%s}}
certificates: %s
`, address, names, p.directory, p.ca, more, storage)
}

func folderOf(path string) string { return fmt.Sprintf("{folder: %q}", path) }
