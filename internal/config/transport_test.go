package config

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// transports loads one credential with the given TLS and proxy settings.
func transports(t *testing.T, settings string) Credential {
	t.Helper()
	cfg, err := Parse("attache.yaml", []byte(`
credentials:
  api:
    recipe: ../recipes/static-client.yaml
    with: {url: "https://api.example.com", id: me, secret: s}
`+settings), environment(t))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Credentials[0]
}

func TestTLS(t *testing.T) {
	var zero TLS
	if c := zero.ClientConfig(); !zero.IsZero() || c.RootCAs != nil || len(c.Certificates) != 0 || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("the zero value gives %+v", c)
	}
	set := transports(t, "    tls: {ca: ../tls/ca.pem, cert: {file: ../tls/cert.pem}, key: {env: CONFIG_TEST_KEY}, server_name: API.example.com}\n").TLS
	c := set.ClientConfig()
	if set.IsZero() || c.RootCAs == nil || len(c.Certificates) != 1 || c.ServerName != "api.example.com" {
		t.Errorf("got %+v", c)
	}
	if c == set.ClientConfig() {
		t.Error("two calls share a configuration")
	}
}

func TestProxyModes(t *testing.T) {
	t.Setenv("NO_PROXY", "")
	t.Setenv("HTTPS_PROXY", "http://from-env.example.com:1")
	for settings, want := range map[string]struct{ shown, used string }{
		"":                                      {"env", "http://from-env.example.com:1"},
		"    proxy: env\n":                      {"env", "http://from-env.example.com:1"},
		"    proxy: none\n":                     {"none", ""},
		"    proxy: socks5://127.0.0.1:9\n":     {"socks5://127.0.0.1:9", "socks5://127.0.0.1:9"},
		"    proxy: {env: CONFIG_TEST_PROXY}\n": {"http://user:xxxxx@proxy.example.com:3128", "http://user:proxy-canary@proxy.example.com:3128"},
	} {
		p := transports(t, settings).Proxy
		if p.String() != want.shown {
			t.Errorf("%q shows as %s, want %s", settings, p, want.shown)
		}
		used := ""
		if f := p.Func(); f != nil {
			r, err := http.NewRequest(http.MethodGet, "https://api.example.com/", nil)
			if err != nil {
				t.Fatal(err)
			}
			u, err := f(r)
			if err != nil || u == nil {
				t.Fatalf("%q: got %v, %v", settings, u, err)
			}
			used = u.String()
		}
		if used != want.used {
			t.Errorf("%q goes through %q, want %q", settings, used, want.used)
		}
	}
}
