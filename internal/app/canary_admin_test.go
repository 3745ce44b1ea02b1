package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// canaryUser is the id of an end user. It may be in the log, where a vendor's
// text names it, and nowhere on the admin listener.
const canaryUser = "CANARY-user-7"

// canaryUsers is canaryRecipe with one token for each user.
var canaryUsers = strings.NewReplacer(
	"recipe: blabbermouth", "recipe: blabbermouth-users",
	"tokens:", "  user:     {required: true, pattern: \".*\"}\ntokens:",
	`query: {`, `query: {a: "${user}", `,
).Replace(canaryRecipe)

// TestNothingSecretOnTheAdminListener has logins, failures, refusals, renewals by
// hand and reloads happen, with secrets and users everywhere and a vendor that
// repeats all of them, and then reads whatever the admin and probes listeners
// show: the page and its files, the status, and the events as well.
func TestNothingSecretOnTheAdminListener(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("CANARY_KEY", canaryKey)
	t.Setenv("CANARY_PASSWORD", canaryPassword)
	secretFile := write("secret", canaryFile+"\n")
	recipes := []string{write("single.yaml", canaryRecipe), write("users.yaml", canaryUsers)}
	vendor := &blabbermouth{}
	vendor.mode.Store("ok")
	vendor.api.Store("")
	server := httptest.NewServer(vendor)
	defer server.Close()
	with := fmt.Sprintf("endpoint: %q, key: {env: CANARY_KEY}, password: {env: CANARY_PASSWORD}, extra: {file: %s}, literal: %s", server.URL, secretFile, canaryLiteral)
	text := addresses + fmt.Sprintf(`probes: 127.0.0.1:0
credentials:
  one:  {recipe: %[1]s, refresh: {min_interval: 100ms}, with: {%[3]s}}
  many: {recipe: %[2]s, refresh: {min_interval: 100ms}, with: {%[3]s, user: {header: X-User}}}
routes:
  - {name: one, path: /one/, upstream: %[4]s/api, use: [one], wait: 300ms}
  - {name: many, path: /many/, upstream: %[4]s/api, use: [many], wait: 300ms}
`, recipes[0], recipes[1], with, server.URL)
	l := runFile(t, dir, text)
	renew := func() {
		rawPost(t, l.app.AdminAddr(), "/-/renew?credential=one&token=access", "Host: "+l.app.AdminAddr())
		rawPost(t, l.app.AdminAddr(), "/-/renew?credential=many&token=access&user="+canaryUser, "Host: "+l.app.AdminAddr())
	}
	round := func(user string) {
		for range 3 {
			l.do("GET", "/one/x?q="+canaryUser, "")
			l.do("GET", "/many/x", "", "X-User", user)
		}
	}
	stream := l.events(false, "")
	for i, mode := range []string{"ok", "json error", "permanent", "throttled", "html", "not json", "line break", "redirect", "drop", "bad lifetime"} {
		vendor.mode.Store(mode)
		for _, api := range []string{"", "renew", "refuse"} {
			vendor.api.Store(api)
			round(fmt.Sprint(canaryUser, i))
		}
		renew()
	}
	l.reloaded(text + "log: {requests: none}\n")
	if code, _ := l.reload(text + "nonsense: {secret: " + canaryLiteral + "}\nlisten: " + canaryLiteral + "\n"); code != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong file is answered %d", code)
	}
	stream.untilAsked("reload_failed")

	var seen strings.Builder
	look := func(path string, a answer) {
		if a.status == 404 {
			t.Errorf("%s: %d", path, a.status)
		}
		fmt.Fprintf(&seen, "%s: %d %v %s\n", path, a.status, a.header, a.body)
	}
	for _, path := range []string{"/", "/page.css", "/page.js", "/icon.svg", "/api/status", "/metrics", "/readyz", "/startupz", "/livez"} {
		look(path, l.admin(path))
	}
	page := httpGet(t, "http://"+l.app.AdminAddr()+"/", "text/html")
	look("the page", page)
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(page.body, -1) {
		look(m[1], l.admin(m[1]))
	}
	late := l.events(false, "")
	late.untilAsked("reload_failed")
	fmt.Fprintf(&seen, "events: %s\nevents, late: %s\n", stream.all.String(), late.all.String())

	// There was something to be seen.
	for _, kind := range []string{"logged_in", "login_failed", "refused", "renewed", "reloaded", "reload_failed"} {
		if !strings.Contains(stream.all.String(), `"kind":"`+kind+`"`) {
			t.Errorf("no event of kind %s", kind)
		}
	}
	for _, of := range []string{`"credential":"one"`, `"credential":"many"`, `"class":"permanent"`, `"error":"`} {
		if !strings.Contains(stream.all.String(), of) {
			t.Errorf("no event has %s", of)
		}
	}
	if !strings.Contains(seen.String(), `"kind": "login_failed"`) {
		t.Error("the status has no marks")
	}
	for _, canary := range append(canaries(), url.QueryEscape(canaryUser), canaryUser) {
		if i := strings.Index(seen.String(), canary); i >= 0 {
			t.Errorf("%q shows: …%s…", canary, seen.String()[max(0, i-300):min(seen.Len(), i+200)])
		}
	}
}

// httpGet asks as a client that accepts so.
func httpGet(t *testing.T, url, accept string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	ans, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, ans)
}
