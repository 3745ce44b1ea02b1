package admin

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"attache/internal/exchange"
	"attache/refresher"
)

// ask is do with headers.
func ask(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestFrontIsAPageForBrowsers(t *testing.T) {
	h := (&fake{}).admin(t).Handler(nil)
	for _, tt := range []struct {
		accept []string
		page   bool
	}{
		{nil, false},
		{[]string{"Accept", "*/*"}, false},
		{[]string{"Accept", "application/json"}, false},
		{[]string{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, true},
		{[]string{"Accept", "application/json", "Accept", "Text/HTML"}, true},
	} {
		w := ask(h, "GET", "/", tt.accept...)
		want := "text/plain; charset=utf-8"
		if tt.page {
			want = "text/html; charset=utf-8"
		}
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != want {
			t.Errorf("%v: %d %s, want %s", tt.accept, w.Code, got, want)
		}
		if got := w.Header().Get("Vary"); got != "Accept" {
			t.Errorf("%v: Vary %q", tt.accept, got)
		}
		if isPage := strings.HasPrefix(strings.ToLower(w.Body.String()), "<!doctype html>"); isPage != tt.page {
			t.Errorf("%v: %.40q", tt.accept, w.Body)
		}
	}
}

func TestPageFiles(t *testing.T) {
	h := (&fake{}).admin(t).Handler(nil)
	types := map[string]string{
		"/":    "text/html; charset=utf-8",
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml; charset=utf-8",
	}
	for path := range pageFiles() {
		contentType := types["/"]
		if path != "/" {
			contentType = types[filepath.Ext(path)]
		}
		w := ask(h, "GET", path, "Accept", "text/html")
		if w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s: %d with %d bytes", path, w.Code, w.Body.Len())
		}
		for name, want := range map[string]string{
			"Content-Type":                 contentType,
			"Cache-Control":                "no-store",
			"X-Content-Type-Options":       "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
				"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		} {
			if got := w.Header().Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
	}
	// What is no file of the page keeps the stricter policy.
	if got := ask(h, "GET", "/").Header().Get("Content-Security-Policy"); got != "default-src 'none'; frame-ancestors 'none'" {
		t.Errorf("the list of paths: %q", got)
	}
}

// The policy would stop what this test finds; a page that needs it would be
// broken.
func TestPageKeepsItsPolicy(t *testing.T) {
	if strings.Contains(pagePolicy, "unsafe") || strings.Contains(pagePolicy, "*") || strings.Contains(pagePolicy, "data:") {
		t.Errorf("the policy is open: %s", pagePolicy)
	}
	// Names of XML's dialects are no addresses.
	names := strings.NewReplacer("http://www.w3.org/2000/svg", "", "http://www.w3.org/1999/xlink", "")
	for path, f := range pageFiles() {
		for pattern, why := range map[string]string{
			`(?i)\b(?:https?|wss?|data|blob|javascript):\S*`: "another origin",
			`(?i)(?:src|href|url|import|fetch)\W{0,4}//\S*`:  "another origin",
			`(?i)\seval\(|new Function|document\.write`:      "text that becomes code",
		} {
			if found := regexp.MustCompile(pattern).FindString(names.Replace(string(f.content()))); found != "" {
				t.Errorf("%s has %q: %s", path, found, why)
			}
		}
		if !strings.Contains(f.contentType, "html") && !strings.Contains(f.contentType, "svg") {
			continue
		}
		for pattern, why := range map[string]string{
			`(?i)<style`:                        "a style in the page",
			`(?i)\sstyle\s*=`:                   "a style at an element",
			`(?i)\son[a-z]+\s*=`:                "a script at an element",
			`(?i)<script[^>]*>[^<]`:             "a script in the page",
			`(?i)<(?:base|iframe|object|embed)`: "an element that the policy forbids",
		} {
			if found := regexp.MustCompile(pattern).FindString(string(f.content())); found != "" {
				t.Errorf("%s has %q: %s", path, found, why)
			}
		}
	}
}

// Every file that the page, its style or its scripts name is there.
func TestPageNamesWhatIsServed(t *testing.T) {
	h := (&fake{}).admin(t).Handler(nil)
	var named []string
	patterns := map[string]string{
		".svg": `href\s*=\s*["']([^"'#]+)`,
		".css": `url\(["']?([^"')#]+)|@import\s+["']([^"']+)`,
		".js":  `(?:from|import)\s*\(?["']([^"']+)`,
	}
	for path, f := range pageFiles() {
		pattern := `(?i)(?:src|href)\s*=\s*["']?([^"'\s>#]+)`
		if path != "/" {
			pattern = patterns[filepath.Ext(path)]
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(f.content()), -1) {
			named = append(named, strings.Join(m[1:], ""))
		}
	}
	for _, path := range []string{"page.css", "page.js", "icon.svg"} {
		if !slices.ContainsFunc(named, func(n string) bool { return strings.TrimPrefix(n, "/") == path }) {
			t.Errorf("the page does not name %s", path)
		}
	}
	for _, name := range named {
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(name, "."), "/")
		if w := ask(h, "GET", path); w.Code != 200 {
			t.Errorf("the page names %s, which is answered %d", name, w.Code)
		}
	}
}

// The page has a sentence for every event and a name for every mark: it would show
// the bare word of one that came later.
func TestPageKnowsEveryWord(t *testing.T) {
	files := pageFiles()
	has := func(path, entry string) {
		t.Helper()
		if !strings.Contains(string(files[path].content()), entry) {
			t.Errorf("%s has no %q", path, entry)
		}
	}
	for _, kind := range refresher.EventKinds() {
		has("/page.js", "\n  "+kind.String()+": (")
		if isMark(kind) {
			has("/token.js", " "+kind.String()+": '")
		}
	}
	has("/page.js", "\n  reloaded: (")
	has("/page.js", "\n  reload_failed: (")
	for outcome := refresher.Renewing; outcome <= refresher.OverBudget; outcome++ {
		has("/page.js", " "+outcome.String()+": '")
		if outcome != refresher.Renewing { // a mark of it is a plain refusal
			has("/token.js", " "+outcome.String()+": '")
		}
	}
	for _, signal := range []exchange.Signal{exchange.SignalStatus, exchange.SignalBody, exchange.SignalLogin, exchange.SignalGRPC} {
		has("/page.js", " "+signal.String()+": '")
	}
	for _, phase := range refresher.Phases() {
		has("/tools.js", "'"+phase.String()+"'")
	}
}
