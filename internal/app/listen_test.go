//go:build linux

package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/emulator"
	"attache/proxy"
)

const callersToken = "a-callers-token-canary"

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client returns a client's certificate with a DNS name.
func (a *authority) client(name string) tls.Certificate {
	cert, key := a.sign(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// write writes a server's pair and the authority itself into dir.
func (a *authority) write(dir string) {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: a.cert.Raw}, "cert.pem": {Type: "CERTIFICATE", Bytes: cert.Raw}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// through sends a GET by a transport.
func through(t *testing.T, tr *http.Transport, url string, header ...string) (*http.Response, string, error) {
	t.Helper()
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	ans, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		return nil, "", err
	}
	defer ans.Body.Close()
	body, err := io.ReadAll(ans.Body)
	if err != nil {
		t.Fatal(err)
	}
	return ans, string(body), nil
}

// overSocket returns a transport to a Unix socket.
func overSocket(path string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}

// imBehind is the rest of a configuration: OpenIM at /im/.
func imBehind(t *testing.T) string {
	t.Helper()
	_, url := vendor(t, emulator.OpenIM, emulator.Options{})
	return fmt.Sprintf(`
credentials:
  im: {recipe: openim, with: {endpoint: %[1]s, secret: openIM123, platform_id: 1, user_id: u1}}
routes:
  - {path: /im/, upstream: %[1]s, use: [im]}
`, url)
}

func TestListenWithTLSAndCallers(t *testing.T) {
	dir, ca, foreign := t.TempDir(), newAuthority(t), newAuthority(t)
	ca.write(dir)
	writeToken(t, dir)
	w := startIn(t, dir, `
listen:
  - address: 127.0.0.1:0
    tls: {cert: cert.pem, key: key.pem, client_ca: ca.pem}
    callers: [{certificate: app.example.com}, {name: ci, bearer: {file: token}}]
`+imBehind(t))
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	url := "https://" + w.app.Addr() + "/im/x"
	client := func(cert ...tls.Certificate) *http.Transport {
		return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: cert}, ForceAttemptHTTP2: true}
	}
	for _, tc := range []struct {
		name   string
		tr     *http.Transport
		header []string
		want   int
	}{
		{"nobody", client(), nil, 407},
		{"wrong token", client(), []string{"Proxy-Authorization", "Bearer wrong"}, 407},
		{"token", client(), []string{"Proxy-Authorization", "Bearer " + callersToken}, 200},
		{"certificate", client(ca.client("app.example.com")), nil, 200},
		{"another's certificate", client(ca.client("other.example.com")), nil, 407},
	} {
		ans, body, err := through(t, tc.tr, url, tc.header...)
		if err != nil || ans.StatusCode != tc.want || ans.ProtoMajor != 2 {
			t.Errorf("%s: %v %s %v, want %d over HTTP/2", tc.name, ans, body, err, tc.want)
		}
	}
	mine := foreign.client("app.example.com")
	// The client shows a certificate only to who asks for one of its issuer.
	forged := client()
	forged.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &mine, nil }
	if ans, _, err := through(t, forged, url); err == nil {
		t.Errorf("a certificate of a foreign authority: %v", ans)
	}
	old := client()
	old.TLSClientConfig.MaxVersion = tls.VersionTLS11
	if ans, _, err := through(t, old, url); err == nil {
		t.Errorf("TLS 1.1: %v", ans)
	}
	if ans, _, err := through(t, &http.Transport{}, "http://"+w.app.Addr()+"/im/x"); err == nil && ans.StatusCode != 400 {
		t.Errorf("without TLS: %v", ans)
	}
	if logs := w.logs.String(); !strings.Contains(logs, "tls=true callers=2") || !strings.Contains(logs, "caller=ci") ||
		!strings.Contains(logs, "caller=app.example.com") || strings.Contains(logs, "canary") {
		t.Errorf("the log: %s", logs)
	}
}

func writeToken(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(callersToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestListenOnSockets(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, fmt.Sprintf(`
listen:
  - 127.0.0.1:0
  - {unix: mine.sock, callers: [{name: me, uid: %d}]}
  - {unix: group.sock, callers: [{gid: %d}]}
  - {unix: others.sock, callers: [{uid: 12345678}, {gid: 12345678}]}
  - {unix: open.sock, mode: "0660"}
`, os.Geteuid(), os.Getegid())+imBehind(t))
	for name, want := range map[string]int{"mine.sock": 200, "group.sock": 200, "others.sock": 407, "open.sock": 200} {
		// No browser reaches a socket, so the Host is not looked at.
		ans, body, err := through(t, overSocket(filepath.Join(dir, name)), "http://any.example/im/x", "Origin", "https://foreign.example")
		if err != nil || ans.StatusCode != want {
			t.Errorf("%s: %v %s %v, want %d", name, ans, body, err, want)
		}
	}
	w.good(w.do("GET", "/im/x", ""), "")
	for _, want := range []string{"caller=me", "address=" + filepath.Join(dir, "mine.sock") + " tls=false callers=1", fmt.Sprintf("pid=%d", os.Getpid())} {
		if !strings.Contains(w.logs.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, w.logs)
		}
	}
}

func TestCallersAreAskedBehindTheGuard(t *testing.T) {
	dir := t.TempDir()
	writeToken(t, dir)
	w := startIn(t, dir, `
listen: {address: "127.0.0.1:0", origins: "https://app.example.com", callers: [{bearer: {file: token}}]}
`+imBehind(t))
	if a := w.do("GET", "/im/x", ""); a.status != 407 {
		t.Errorf("nobody: %d", a.status)
	}
	if a := w.do("GET", "/im/x", "", "Origin", "https://foreign.example"); a.status != 403 {
		t.Errorf("a foreign page: %d", a.status)
	}
	if a := w.do("OPTIONS", "/im/x", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET"); a.status != 204 {
		t.Errorf("a preflight: %d", a.status)
	}
	w.good(w.do("GET", "/im/x", "", "Proxy-Authorization", "Bearer "+callersToken), "")
}

// A process without a proxy gets the token, and everybody else none.
func TestHandoutOverASocket(t *testing.T) {
	dir := t.TempDir()
	writeToken(t, dir)
	body := imBehind(t)
	w := startIn(t, dir, fmt.Sprintf(`
listen: 127.0.0.1:0
handout: {unix: token.sock, callers: [{name: batch, uid: %d}]}
`, os.Geteuid())+body)
	tr := overSocket(filepath.Join(dir, "token.sock"))
	ans, text, err := through(t, tr, "http://attache/token/im")
	var out proxy.HandedOut
	if err != nil || ans.StatusCode != 200 || json.Unmarshal([]byte(text), &out) != nil || out.Value == "" || out.Generation != 1 {
		t.Fatalf("got %v %s %v", ans, text, err)
	}
	_, text, err = through(t, tr, "http://attache/token/im?not=1")
	var renewed proxy.HandedOut
	if err != nil || json.Unmarshal([]byte(text), &renewed) != nil || renewed.Generation != 2 || renewed.Value == out.Value {
		t.Errorf("after a refusal: %s %v", text, err)
	}
	if ans, text, err := through(t, tr, "http://attache/im/x"); err != nil || ans.StatusCode != 404 {
		t.Errorf("a route on the hand-out's listener: %v %s %v", ans, text, err)
	}
	if a := w.do("GET", "/token/im", ""); a.status != 404 {
		t.Errorf("the hand-out on the routes' listener: %d %s", a.status, a.body)
	}
	w.stop()
	logs := w.logs.String()
	if !strings.Contains(logs, fmt.Sprintf(`msg="token handed out" credential=im token=%s generation=1 caller=batch uid=%d pid=%d`, out.Token, os.Geteuid(), os.Getpid())) {
		t.Errorf("the log does not tell who got what:\n%s", logs)
	}
	if strings.Contains(logs, out.Value) || strings.Contains(logs, renewed.Value) {
		t.Error("the log has a token")
	}
}

func TestHandoutAsksWhoCalls(t *testing.T) {
	dir := t.TempDir()
	writeToken(t, dir)
	w := startIn(t, dir, `
listen: 127.0.0.1:0
handout: {address: "127.0.0.1:0", callers: [{bearer: {file: token}}]}
`+imBehind(t))
	tr, url := &http.Transport{}, "http://"+w.app.HandoutAddr()+"/token/im"
	for _, tc := range []struct {
		header []string
		want   int
	}{
		{nil, 407},
		{[]string{"Proxy-Authorization", "Bearer another-token-of-some-length"}, 407},
		{[]string{"Proxy-Authorization", "Bearer " + callersToken, "Origin", "https://foreign.example"}, 403},
		{[]string{"Proxy-Authorization", "Bearer " + callersToken}, 200},
	} {
		ans, body, err := through(t, tr, url, tc.header...)
		if err != nil || ans.StatusCode != tc.want || strings.Contains(body, `"value"`) != (tc.want == 200) {
			t.Errorf("%v: %v %s %v, want %d", tc.header, ans, body, err, tc.want)
		}
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for listen, want := range map[string]string{
		taken.Addr().String():                    "choose another port",
		"{unix: missing/attache.sock}":           "make the folder of the socket first",
		"{address: '192.0.2.1:0', unsafe: true}": "this machine has no such address",
	} {
		cfg, err := config.Parse("test.yaml", []byte("listen: "+listen+"\nadmin: 127.0.0.1:0\nroutes: [{upstream: 'http://127.0.0.1:1'}]\n"), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = app.New(app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", listen, err, want)
		}
	}
}
