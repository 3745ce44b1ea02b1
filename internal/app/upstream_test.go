package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestUpstreamOfToken: requests go where the token's answer said, after a renewal
// where the new one says, and nowhere that the configuration does not allow.
func TestUpstreamOfToken(t *testing.T) {
	var logins atomic.Int64
	var instances [3]*httptest.Server // the last one is not allowed
	for i := range instances {
		instances[i] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Until") < fmt.Sprint(logins.Load()) {
				fmt.Fprintf(w, "instance %d: %s %s", i, r.URL, r.Header.Get("Authorization"))
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
		}))
		defer instances[i].Close()
	}
	login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := logins.Add(1)
		fmt.Fprintf(w, `{"token":"T%d","instance_url":%q}`, n, instances[min(n-1, 2)].URL+"/")
	}))
	defer login.Close()
	w := start(t, fmt.Sprintf(`
credentials:
  c: {recipe: %s, with: {endpoint: %s}, refresh: {min_interval: 100ms}}
routes:
  - {path: /r/, upstream: "${c.access.instance_url}/data", upstream_allow: ["%s", "%s"], use: c}
`, recipeFile(t, `
recipe: moving
params: {endpoint: {required: true, type: url}}
tokens:
  access:
    request: {url: "${endpoint}/login", json: {}}
    value: {json: token}
    outputs: {instance_url: {json: instance_url}}
    lifetime: 1h
inject:
  - {header: Authorization, value: "Bearer ${access}"}
refused:
  - {token: access, status: 401}
`), login.URL, instances[0].URL, instances[1].URL))
	if a := w.do("GET", "/r/x?q", "", "X-Until", "0"); a.body != "instance 0: /data/x?q Bearer T1" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a := w.do("POST", "/r/x", "body", "X-Until", "1"); a.body != "instance 1: /data/x Bearer T2" {
		t.Errorf("after a renewal: %d %s", a.status, a.body)
	}
	a := w.do("GET", "/r/x", "", "X-Until", "2")
	if a.status != http.StatusBadGateway || !strings.Contains(a.body, "not one that upstream_allow names") || strings.Contains(a.body, instances[2].URL) {
		t.Errorf("at an upstream that is not allowed: %d %s", a.status, a.body)
	}
	if status := w.admin("/api/status").body; !strings.Contains(status, `"upstream": "${c.access.instance_url}/data"`) {
		t.Errorf("the status does not say where requests go:\n%s", status)
	}
}
