package recipe

import (
	"net/url"
	"strings"
	"testing"

	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// pattern reads one pattern, or returns what is wrong with it.
func pattern(t *testing.T, text string) (UpstreamPattern, string) {
	t.Helper()
	rep := &yamldoc.Report{}
	root, ok := yamldoc.Parse(rep, "test.yaml", []byte("p: "+quoteYAML(text)))
	if !ok {
		t.Fatal(rep.Err())
	}
	p, ok := ParseUpstreamPattern(root.Entries()[0].Value)
	if err := rep.Err(); err != nil {
		return p, err.Error()
	}
	if !ok {
		t.Errorf("%s: refused without a word", text)
	}
	return p, ""
}

func quoteYAML(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func TestUpstreamPatterns(t *testing.T) {
	for _, good := range []string{
		"https://*.example.com", "https://api.example.com", "https://*.example.com:8443", "https://10.0.0.7",
		"https://[2001:db8::1]:8443", "http://127.0.0.1:9000", "http://[::1]", "http://localhost:80", "http://*.localhost:8080",
		"HTTPS://*.Example.com:443",
	} {
		if p, why := pattern(t, good); why != "" {
			t.Errorf("%s: %s", good, why)
		} else if again, _ := pattern(t, p.String()); again != p {
			t.Errorf("%s is shown as %s, which is another", good, p)
		}
	}
	for _, bad := range []string{
		"", "*", "https://", "https://*", "https://*.", "https://*.com", "https://a.*.example.com", "https://*example.com",
		"https://**.example.com", "*.example.com", "//*.example.com", "ftp://*.example.com", "http://api.example.com",
		"http://*.example.com", "http://10.0.0.7", "https://*.10.0.0.7", "https://*.example.com/", "https://*.example.com/v1",
		"https://*.example.com?x", "https://u@example.com", "https://example.com:", "https://example.com:0",
		"https://example.com:99999", "https://exa mple.com", "https://example.com.", "unix:/run/app.sock", "${a.b.c}",
	} {
		if p, why := pattern(t, bad); why == "" {
			t.Errorf("%q is taken for %s", bad, p)
		}
	}
}

// TestUpstreamOfTokens: what a vendor says where requests go leads to nothing but
// what the configuration allows.
func TestUpstreamOfTokens(t *testing.T) {
	allow := []UpstreamPattern{}
	for _, text := range []string{"https://*.example.com", "https://one.example.org:8443", "http://127.0.0.1:9000", "https://kube.example.net"} {
		p, why := pattern(t, text)
		if why != "" {
			t.Fatal(why)
		}
		allow = append(allow, p)
	}
	for in, want := range map[string]string{
		"https://a.example.com":          "https://a.example.com",
		"https://A.b.Example.com/x%2Fy/": "https://A.b.Example.com/x%2Fy/",
		"https://a.example.com:443":      "https://a.example.com:443",
		"https://one.example.org:8443/v": "https://one.example.org:8443/v",
		"http://127.0.0.1:9000":          "http://127.0.0.1:9000",
	} {
		if u, err := checkUpstream(in, allow); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
	for _, bad := range []string{
		"", "/", "a.example.com", "//a.example.com", "https:a.example.com", "https:///x", "http://a.example.com",
		"https://example.com", "https://a.example.com.", "https://a.example.com:", "https://a.example.com:8443",
		"https://a.example.org", "https://one.example.org", "https://xexample.com", "https://a.example.com.evil.test",
		"https://a.example.com@evil.test", "https://evil.test/.example.com", "https://evil.test#.example.com",
		"https://evil.test?.example.com", "https://evil.test\\.example.com", "https://evil.test%2f.example.com",
		"https://u:p@a.example.com", "https://a.example.com?x=1", "https://a.example.com#f", "https://a.example.com/../x",
		"https://a.example.com/%2e%2e/x", "https://a.example.com/x y", "https://a.example.com/\r\nHost: evil",
		"https://a.example.com\r\n", "https://a\x00.example.com", "https://.example.com", "https://a..example.com",
		"https://[::1].example.com", "https://é.example.com", "https://\u212aube.example.net", "https://%E2%84%AAube.example.net", "https://a.example.\u212aom", "http://127.0.0.1", "http://127.0.0.1:9001",
		"http://[::ffff:127.0.0.1]:9000", "http://0x7f000001:9000", "http://localhost:9000", "unix:/run/app.sock", "file:///etc/passwd",
		"HTTPS://127.0.0.1:9000", "https://" + strings.Repeat("a", 300) + ".example.com",
	} {
		if u, err := checkUpstream(bad, allow); err == nil {
			t.Errorf("%q leads to %s", bad, u)
		} else if bad != "" && bad != "/" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: the error repeats what the vendor sent: %v", bad, err)
		}
	}
}

// FuzzUpstream: whatever a vendor says where requests go, they go to what the
// configuration allows or nowhere.
func FuzzUpstream(f *testing.F) {
	for _, seed := range []string{"https://a.example.com/x", "https://evil.test/.example.com", "https://a.example.com@evil.test", "https://a.example.com:443/%2e%2e/",
		"https://evil.test\\.example.com", "HTTPS://A.EXAMPLE.COM", "https://a.example.com\r\nX: y", "//a.example.com", "https://[::1%25.example.com]"} {
		f.Add(seed)
	}
	allow := []UpstreamPattern{{Scheme: "https", Host: "example.com", Port: "443", Below: true}}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := checkUpstream(text, allow)
		if err != nil {
			return
		}
		host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
		if u.Scheme != "https" || !strings.HasSuffix(host, ".example.com") || !shape.IsHostName(host) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q leads to %s", text, u)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || strings.ContainsAny(u.EscapedPath(), " \r\n\x00?#\\") {
			t.Errorf("%q leads to %q, which is %v, %v", text, u, again, err)
		}
	})
}
