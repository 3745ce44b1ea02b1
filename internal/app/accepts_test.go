package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"attache/internal/config"
)

// What `attache check` accepts `attache run` has to accept: whatever is wrong
// with a file has a place in it, and only package config knows that.

// TestAcceptsGoodFiles builds every file that the tests of package config call
// good.
func TestAcceptsGoodFiles(t *testing.T) {
	testdata := filepath.Join("..", "config", "testdata")
	root := t.TempDir()
	for _, folder := range []string{"recipes", "secrets"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join(testdata, folder))); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := testCertificate(t)
	for _, name := range []string{"tls/ca.pem", "tls/cert.pem", "tls/old.pem"} {
		writeText(t, filepath.Join(root, name), cert)
	}
	t.Setenv("CONFIG_TEST_KEY", key)
	t.Setenv("CONFIG_TEST_OLD_KEY", key)
	t.Setenv("CONFIG_TEST_REDIS", "rediss://redis.example.com")
	t.Setenv("CONFIG_TEST_PROXY", "http://proxy.example.com:3128")
	for _, name := range []string{"CONFIG_TEST_LINE", "CONFIG_TEST_SECRET", "CONFIG_TEST_HMAC", "CONFIG_TEST_LONG", "AICC_APP_KEY", "SECRET"} {
		t.Setenv(name, "a-value-that-is-long-enough-for-all")
	}
	files, _ := filepath.Glob(filepath.Join(testdata, "good", "*.yaml"))
	if len(files) == 0 {
		t.Fatal("there are no files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Parse(filepath.Base(file), data, filepath.Join(root, "good"))
			if err != nil {
				t.Fatal(err)
			}
			build(t, cfg)
		})
	}
}

// TestAcceptsTrickyFiles: of these cases each is either refused by package
// config or can be built. want says which, so that no case is passed by luck.
func TestAcceptsTrickyFiles(t *testing.T) {
	upstream := func(u string) string { return fmt.Sprintf("routes: [{upstream: %q}]\n", u) }
	path := func(p string) string { return fmt.Sprintf("routes: [{path: %q, upstream: 'http://h'}]\n", p) }
	const tokenRecipe = "recipe: x\nparams: {v: {required: true}}\n" +
		"tokens: {t: {request: {url: 'https://h/', json: {v: '${v}'}}, value: {json: t}, lifetime: 1h}}\n"
	use := func(with string) string {
		return "credentials: {c: {recipe: ./r.yaml, with: " + with + "}}\nroutes: [{upstream: 'http://h', use: c}]\n"
	}
	for name, tt := range map[string]struct {
		recipe, config string
		accepted       bool
	}{
		"upstream: dots with parameters": {config: upstream("https://h/a/..;b/c")},
		"upstream: encoded slash":        {config: upstream("https://h/a%2f..%2fb")},
		"upstream: encoded backslash":    {config: upstream("https://h/a/..%5cb")},
		"upstream: dots in a name":       {config: upstream("https://h/a..b/.well-known;v=1/"), accepted: true},
		"upstream: twice encoded":        {config: upstream("https://h/%252e%252e/"), accepted: true},
		"upstream: empty segments":       {config: upstream("https://h//a//"), accepted: true},
		"upstream: encoded path":         {config: upstream("https://h/caf%C3%A9/a%2Fb"), accepted: true},
		"upstream: absolute name":        {config: upstream("https://h.example.com.:8443"), accepted: true},
		"upstream: socket with dots":     {config: upstream("unix:/run/a.sock:/x/..;y")},
		"upstream: socket":               {config: upstream("unix:/run/a.sock:/x"), accepted: true},
		"path: dots with parameters":     {config: path("/a/..;b")},
		"path: encoded slash":            {config: path("/a%2f..")},
		"path: encoded":                  {config: path("/a%2Fb;c"), accepted: true},
		"host: with dot and without": {config: "routes: [{host: a.localhost., upstream: 'http://h'}, " +
			"{host: A.localhost, path: /, name: b, upstream: 'http://h'}]\n"},
		"host: with port and without": {config: "routes: [{host: 'a.localhost:80', upstream: 'http://h'}, " +
			"{host: a.localhost, upstream: 'http://h'}]\n", accepted: true},
		"methods: one in common": {config: "routes: [{methods: [GET, PUT], name: a, upstream: 'http://h'}, " +
			"{methods: [PUT], path: /, name: b, upstream: 'http://h'}]\n"},
		"protocol: h2 without TLS": {config: "routes: [{upstream: 'http://h', protocol: h2}]\n"},
		"protocol: h2c, socket":    {config: "routes: [{upstream: 'unix:/a', protocol: h2c}]\n", accepted: true},

		"inject: proxy-authenticate": {recipe: "recipe: x\ninject: [{header: Proxy-Authenticate, value: v}]\n", config: use("{}")},
		"inject: http2-settings":     {recipe: "recipe: x\ninject: [{header: HTTP2-Settings, value: v}]\n", config: use("{}")},
		"inject: expect":             {recipe: "recipe: x\ninject: [{header: expect, value: v}]\n", config: use("{}")},
		"inject: spellings of one header": {recipe: "recipe: x\ninject: [{header: a.b, value: v}, {header: A-B, value: v}]\n",
			config: use("{}")},
		"strip: connection":     {recipe: "recipe: x\ninject: [{header: a, value: v}]\nstrip: [{header: Connection}]\n", config: use("{}")},
		"strip: host":           {recipe: "recipe: x\ninject: [{header: a, value: v}]\nstrip: [{header: host}]\n", config: use("{}")},
		"strip: cookie, query":  {recipe: "recipe: x\ninject: [{header: a, value: v}]\nstrip: [{cookie: Connection}, {query: Host}]\n", config: use("{}"), accepted: true},
		"from the request: te":  {recipe: tokenRecipe, config: use("{v: {header: TE}}")},
		"from the request":      {recipe: tokenRecipe, config: use("{v: {header: X.User}}"), accepted: true},
		"route injects upgrade": {config: "routes: [{upstream: 'http://h', inject: [{header: upgrade, value: v}]}]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeText(t, filepath.Join(dir, "r.yaml"), tt.recipe)
			cfg, err := config.Parse("attache.yaml", []byte(tt.config), dir)
			if (err == nil) != tt.accepted {
				t.Fatalf("accepted is %v: %v", err == nil, err)
			}
			if err == nil {
				build(t, cfg)
			}
		})
	}
}

// build makes an App of cfg, on free ports.
func build(t *testing.T, cfg *config.Config) {
	t.Helper()
	for i := range cfg.Listen {
		listenAnywhere(t, &cfg.Listen[i])
	}
	if cfg.Handout != nil {
		listenAnywhere(t, &cfg.Handout.Listener)
	}
	if cfg.Certificates != nil {
		cfg.Certificates = &config.Certificates{Folder: t.TempDir()}
	}
	cfg.Admin.Address = "127.0.0.1:0"
	if cfg.Probes != "" {
		cfg.Probes = "127.0.0.1:0"
	}
	a, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatalf("package config accepts the file, but: %v", err)
	}
	for _, d := range *a.doors.Load() {
		d.socket.Close()
	}
	a.prepared.Discard()
}

// listenAnywhere makes a listener one that there is room for on this machine.
func listenAnywhere(t *testing.T, l *config.Listener) {
	if l.TLS != nil && l.TLS.ACME != nil && l.TLS.ACME.HTTP != "" {
		l.TLS.ACME.HTTP = "127.0.0.1:0"
	}
	if s := l.Unix; s != nil {
		*s = config.Socket{Path: filepath.Join(t.TempDir(), "s"), Mode: s.Mode, UID: -1, GID: -1}
		return
	}
	l.Address = "127.0.0.1:0"
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// testCertificate makes a self-signed certificate and its key, as PEM.
func testCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
