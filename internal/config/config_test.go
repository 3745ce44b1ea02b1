package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Files in testdata end with what must come of them, as comments behind this
// line: the problems of a bad one, a description of a good one.
const wantMark = "# want:\n"

var update = flag.Bool("update", false, "write what came of the files in testdata into them; read the difference")

// want returns the expectation at the end of a file.
func want(t *testing.T, data []byte) string {
	t.Helper()
	_, block, ok := strings.Cut(string(data), wantMark)
	if !ok {
		t.Fatalf("the file has no %q", wantMark)
	}
	var lines []string
	for line := range strings.Lines(block) {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
	}
	return strings.Join(lines, "")
}

// check compares got with the expectation of the file at path.
func check(t *testing.T, path string, data []byte, got string) {
	t.Helper()
	if *update {
		text, _, _ := strings.Cut(string(data), wantMark)
		text += wantMark
		for line := range strings.Lines(got) {
			text += strings.TrimRight("# "+line, " \n") + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want(t, data), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

const secretCanary = "env-secret-canary"

// environment sets the variables and makes the files that testdata speaks of.
// It returns the folder that stands for testdata/good.
func environment(t *testing.T) (dir string) {
	t.Helper()
	cert, key := certificate(t, time.Now().Add(time.Hour))
	old, oldKey := certificate(t, time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC))
	root := t.TempDir()
	for path, text := range map[string]string{"tls/ca.pem": cert, "tls/cert.pem": cert, "tls/old.pem": old} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"recipes", "secrets"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join("testdata", folder))); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"CONFIG_TEST_SECRET":  secretCanary,
		"CONFIG_TEST_EMPTY":   "",
		"CONFIG_TEST_LINE":    "me\n",
		"CONFIG_TEST_KEY":     key,
		"CONFIG_TEST_OLD_KEY": oldKey,
		"CONFIG_TEST_REDIS":   "rediss://user:redis-canary@redis.example.com:6379/3",
		"CONFIG_TEST_HMAC":    "aG1hYy1jYW5hcnktaG1hYy1jYW5hcnktaG1hYy1jYW5hcnk",
		"CONFIG_TEST_LONG":    "storage-key-canary-storage-key-canary",
		"CONFIG_TEST_PROXY":   "http://user:proxy-canary@proxy.example.com:3128",
		"AICC_APP_KEY":        "an-app-key",
		"SECRET":              secretCanary,
	} {
		t.Setenv(name, value)
	}
	return filepath.Join(root, "good")
}

// certificate makes a self-signed certificate and its key, as PEM.
func certificate(t *testing.T, notAfter time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: notAfter}
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

func TestGood(t *testing.T) {
	dir := environment(t)
	paths, _ := filepath.Glob("testdata/good/*.yaml")
	if len(paths) == 0 {
		t.Fatal("there are no files")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := Parse(filepath.Base(path), data, dir)
			if err != nil {
				t.Fatal(err)
			}
			if text := describe(cfg); strings.Contains(text, "canary") {
				t.Errorf("a secret shows:\n%s", text)
			}
			check(t, path, data, describe(cfg))
		})
	}
}

// describe tells all that is in a configuration.
func describe(cfg *Config) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("file %s", cfg.File)
	for _, ln := range cfg.Listen {
		describeListener(line, "listen", ln)
	}
	if h := cfg.Handout; h != nil {
		describeListener(line, "handout", h.Listener)
		line("  credentials %v", h.Credentials)
	}
	if cfg.Admin.Quit {
		line("quit")
	}
	if cfg.Drain != DefaultDrain() {
		line("drain %v timeout %v streams %v", cfg.Drain.Delay, cfg.Drain.Timeout, cfg.Drain.Streams)
	}
	if cfg.Lane != LaneExpress {
		line("lane %s", cfg.Lane)
	}
	if c := cfg.Certificates; c != nil {
		line("certificates folder %q redis %v key %v", filepath.Base(c.Folder), !c.Redis.IsEmpty(), !c.Key.IsEmpty())
	}
	line("admin %s probes %q store %s log %v %s %s", cfg.Admin.Address, cfg.Probes, describeStore(cfg.Store), cfg.Log.Level, cfg.Log.Format, cfg.Log.Requests)
	for _, c := range cfg.Credentials {
		line("credential %s recipe %s keyed by %v required %v", c.Name, c.Program.Recipe().Name, c.Program.RequestParams(), c.RequiredTokens)
		line("  limits %d %v %d tls %s proxy %v", c.Limits.Max, c.Limits.Idle, c.Limits.LoginsPerMinute, describeTLS(c.TLS), c.Proxy)
		for _, t := range c.Program.Tokens() {
			line("  token %s at %v timeout %v parents %d", t.Name, t.Policy.At, t.Policy.Timeout, len(t.Parents))
		}
	}
	for _, r := range cfg.Routes {
		to := r.UpstreamOf
		if r.Upstream != nil {
			to = r.Upstream.String()
		}
		line("route %s host %q path %s methods %v to %s protocol %s", r.Name, r.Host, r.Path, r.Methods, to, r.Protocol)
		line("  optional %v wait %v replay %d dial %v header %v tls %s proxy %v", r.Optional, r.Wait, r.ReplayMaxBody,
			r.DialTimeout, r.HeaderTimeout, describeTLS(r.TLS), r.Proxy)
		for _, s := range r.Plan.Slots() {
			line("  slot %s.%s %v", s.Credential.Name(), s.Token, s.Params)
		}
		line("  strip %v", r.Plan.Strip())
	}
	for _, w := range cfg.Warnings {
		line("warning %s", w)
	}
	return b.String()
}

// describeStore tells what is in a store, but for passwords and keys.
func describeStore(s Store) string {
	text := string(s.Kind)
	if s.Kind == StoreMemory {
		return text
	}
	text += fmt.Sprintf(" %q keys %d", strings.TrimPrefix(s.File, filepath.Dir(s.File)), len(s.Keys))
	for _, u := range s.Redis {
		text += " " + withoutUser(u)
	}
	return text + fmt.Sprintf(" master %q sentinel %q %v cluster %v tls %s namespace %q on_outage %q", s.Master, s.Sentinel.Username,
		!s.Sentinel.Password.IsEmpty(), s.Cluster, describeTLS(s.TLS), s.Namespace, s.OnOutage)
}

// describeListener tells what is in a listener; of what stands for nothing it
// says nothing.
func describeListener(line func(string, ...any), what string, ln Listener) {
	line("%s %s loopback %v hosts %v origins %v unsafe %v", what, ln.place(), ln.Loopback, ln.Hosts, ln.Origins, ln.Unsafe)
	if s := ln.Unix; s != nil {
		line("  socket mode %v uid %d gid %d", s.Mode, s.UID, s.GID)
	}
	if t := ln.TLS; t != nil {
		line("  tls files %v internal %v client_ca %v", t.Certificate != nil, t.Internal, t.ClientCA != nil)
		if a := t.ACME; a != nil {
			line("  acme names %v directory %s email %q roots %v eab %v http %q", a.Names, a.Directory, a.Email, a.Roots != nil, a.EAB != nil, a.HTTP)
		}
	}
	for _, c := range ln.Callers {
		known := "bearer"
		switch {
		case c.Certificate != "":
			known = "certificate " + c.Certificate
		case c.UID != nil:
			known = fmt.Sprint("uid ", *c.UID)
		case c.GID != nil:
			known = fmt.Sprint("gid ", *c.GID)
		}
		line("  caller %q by %s", c.Name, known)
	}
	if ln.Bounds != DefaultBounds() {
		line("  limits %+v", ln.Bounds)
	}
}

func describeTLS(t TLS) string {
	c := t.ClientConfig()
	return fmt.Sprintf("{roots %v certificates %d name %q}", c.RootCAs != nil, len(c.Certificates), c.ServerName)
}

func TestBad(t *testing.T) {
	environment(t)
	t.Chdir("testdata/bad")
	paths, _ := filepath.Glob("*.yaml")
	if len(paths) == 0 {
		t.Fatal("there are no files")
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := Load(path)
			if err == nil || cfg != nil {
				t.Fatal("there is no problem")
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret shows:\n%v", err)
			}
			check(t, path, data, err.Error()+"\n")
		})
	}
}
