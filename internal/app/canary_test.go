package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
)

// Every secret of the test is one of these, so that one search finds any leak.
const (
	canaryKey      = "CANARY/app+key&1"
	canaryPassword = `CANARY"pass word`
	canaryFile     = "CANARY-file-content"
	canaryLiteral  = "CANARY-literal-99"
	canaryToken    = "CANARY-token-%3D-x"
	canaryOutput   = "CANARY-output"
	canaryRenewed  = "CANARY-renewed"
)

func canaries() []string {
	var all []string
	for _, c := range []string{canaryKey, canaryPassword, canaryFile, canaryLiteral, canaryToken, canaryOutput, canaryRenewed} {
		all = append(all, c, url.QueryEscape(c), url.PathEscape(c),
			base64.StdEncoding.EncodeToString([]byte(c)), base64.URLEncoding.EncodeToString([]byte(c)),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(c)), "="))
	}
	return append(all, "CANARY", base64.StdEncoding.EncodeToString([]byte(canaryKey+":"+canaryPassword)))
}

// blabbermouth is a vendor that repeats everything it was told, in whatever
// way its mode says.
type blabbermouth struct {
	mode  atomic.Value // string: a login mode
	api   atomic.Value // string: an API mode
	count atomic.Int64
}

func (b *blabbermouth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	all := fmt.Sprintf("%s %s %v %s", r.Method, r.RequestURI, r.Header, body)
	echo, _ := json.Marshal(all)
	token := fmt.Sprintf("%s-%d", canaryToken, b.count.Add(1))
	if strings.HasPrefix(r.URL.Path, "/api/") {
		b.answerAPI(w)
		return
	}
	switch b.mode.Load() {
	case "ok":
		fmt.Fprintf(w, `{"code":0,"token":%q,"out":%q,"ttl":3600}`, token, canaryOutput)
	case "json error":
		fmt.Fprintf(w, `{"code":7,"token":%q,"message":%s}`, token, echo)
	case "permanent":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"code":9,"message":%s}`, echo)
	case "throttled":
		w.Header().Set("Retry-After", "1")
		w.Header().Set("X-Echo", url.QueryEscape(all))
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprintf(w, `{"code":8,"message":%s}`, echo)
	case "html":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "<html><title>%s</title>%s</html>", all, all)
	case "not json":
		fmt.Fprintf(w, `{"code":0,"token":%q,`, token)
	case "line break":
		fmt.Fprintf(w, `{"code":0,"token":"%s\r\nX-Injected: 1"}`, token)
	case "redirect":
		http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery+"&t="+token, http.StatusFound)
	case "drop":
		panic(http.ErrAbortHandler)
	case "bad lifetime":
		fmt.Fprintf(w, `{"code":0,"token":%q,"ttl":%s}`, token, echo)
	}
}

func (b *blabbermouth) answerAPI(w http.ResponseWriter) {
	switch b.api.Load() {
	case "refuse":
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"refused"}`)
	case "renew":
		w.Header().Set("X-Renewed", canaryRenewed)
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		io.WriteString(w, `{"ok":true}`)
	default:
		w.Header().Set("Location", "/api/next?k=1")
		io.WriteString(w, `{"ok":true}`)
	}
}

const canaryRecipe = `
recipe: blabbermouth
params:
  endpoint: {required: true, type: url}
  key:      {required: true, secret: true}
  password: {required: true, secret: true}
  extra:    {required: true, secret: true}
  literal:  {required: true, secret: true}
tokens:
  access:
    let:
      sign: {hmac_sha256: "${literal}", key: "${password}", encode: hex}
    request:
      method: POST
      url: ${endpoint}/login
      query: {key: "${key}", sign: "${sign}"}
      headers: {X-Extra: "${extra}"}
      basic: {user: "${key}", password: "${password}"}
      json: {literal: "${literal}", password: "${password}"}
    errors:
      - {json: {code: 9}, class: permanent}
    message: {json: message}
    success: {json: {code: 0}}
    value: {json: token}
    outputs: {out: {json: out}}
    lifetime: [{json: ttl, as: seconds}]
inject:
  - {query: access_token, value: "${access}"}
  - {header: Authorization, value: "Bearer ${access}"}
  - {header: X-Out, value: "${access.out}"}
refused:
  - {token: access, status: 401}
renewed:
  - {token: access, header: X-Renewed, lifetime: 1h, hide: true}
`

// TestNoSecretAnywhere has a secret in every place where one can be, a vendor
// that repeats all of them, and looks at everything that attache shows to
// anyone: logs at debug level, metrics, status, health, its answers, and the
// transcript of a login.
func TestNoSecretAnywhere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	recipeFile := write("blabbermouth.yaml", canaryRecipe)
	secretFile := write("secret", canaryFile+"\n")
	t.Setenv("CANARY_KEY", canaryKey)
	t.Setenv("CANARY_PASSWORD", canaryPassword)
	modes := []string{"ok", "json error", "permanent", "throttled", "html", "not json", "line break", "redirect", "drop", "bad lifetime", "gone"}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			vendor := &blabbermouth{}
			vendor.mode.Store(mode)
			vendor.api.Store("")
			server := httptest.NewServer(vendor)
			defer server.Close()
			endpoint := server.URL
			if mode == "gone" {
				endpoint = "http://127.0.0.1:1" // nobody listens: errors of the network name the URL
			}
			body := fmt.Sprintf(`
credentials:
  c:
    recipe: %s
    refresh: {min_interval: 100ms}
    with: {endpoint: %q, key: {env: CANARY_KEY}, password: {env: CANARY_PASSWORD}, extra: {file: %s}, literal: %s}
routes:
  - {name: r, path: /r/, upstream: %s/api, use: [c], wait: 300ms}
  - {name: gone, path: /gone/, upstream: "http://127.0.0.1:1", use: [c], wait: 300ms}
`, recipeFile, endpoint, secretFile, canaryLiteral, server.URL)
			w := start(t, body)
			var seen strings.Builder
			look := func(what string, a answer) { fmt.Fprintf(&seen, "%s: %d %v %s\n", what, a.status, a.header, a.body) }
			for _, api := range []string{"", "renew", "refuse"} {
				vendor.api.Store(api)
				for range 3 {
					look("answer "+api, w.do("GET", "/r/x?q=1", ""))
				}
				look("gone", w.do("POST", "/gone/x", "{}"))
				look("bad query", w.do("GET", "/r/x?q=%zz", ""))
				look("no route", w.do("GET", "/nowhere", ""))
			}
			for _, path := range []string{"/metrics", "/api/status", "/readyz", "/startupz", "/livez", "/"} {
				look(path, w.admin(path))
			}
			cfg, err := config.Parse("test.yaml", []byte(body), dir)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&seen, "%v %+v %#v\n", cfg, cfg, cfg.Credentials)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err = app.Trace(ctx, &seen, app.TraceConfig{Config: cfg, Credential: "c", Header: http.Header{}, Query: url.Values{}})
			fmt.Fprintf(&seen, "trace: %v\n", err)
			if (err == nil) != (mode == "ok" || mode == "bad lifetime") {
				t.Errorf("trace: %v", err)
			}
			fmt.Fprintf(&seen, "live: %v\n", app.CheckLive(ctx, &seen, app.LiveConfig{Config: cfg, Timeout: 20 * time.Second}))
			fmt.Fprintf(&seen, "logs: %s\n", w.logs)
			for _, canary := range canaries() {
				if i := strings.Index(seen.String(), canary); i >= 0 {
					t.Errorf("%q shows: …%s…", canary, seen.String()[max(0, i-200):min(seen.Len(), i+200)])
				}
			}
		})
	}
}

// TestNoSecretInProblems looks at what a configuration's mistakes say.
func TestNoSecretInProblems(t *testing.T) {
	t.Setenv("CANARY_KEY", canaryKey)
	_, err := config.Parse("test.yaml", []byte(`
listen: `+canaryLiteral+`
store: {redis: `+canaryLiteral+`}
credentials:
  a:
    recipe: openim
    refresh: {at: `+canaryLiteral+`}
    with: {endpoint: {env: CANARY_KEY}, secret: {nonsense: `+canaryLiteral+`}, platform_id: {env: CANARY_KEY}, user_id: {file: /nowhere}, secrt: `+canaryLiteral+`}
  b:
    recipe: jiguang-ums
    with: {channel_key: k, master_secret: `+canaryLiteral+`, type: {env: CANARY_KEY}}
routes:
  - {path: /a/, upstream: "https://user:`+canaryLiteral+`@example.com/", use: [a]}
  - {path: /b/, upstream: "https://example.com/?key=`+canaryLiteral+`", use: [b], wait: `+canaryLiteral+`}
`), t.TempDir())
	if err == nil {
		t.Fatal("no problem found")
	}
	if strings.Contains(err.Error(), "CANARY-") || strings.Contains(err.Error(), canaryKey) {
		t.Errorf("a secret shows:\n%v", err)
	}
	t.Log(err)
}
