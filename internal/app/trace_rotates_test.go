package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// Showing a login must not use up a refresh token that is good for one use.
func TestTraceUsesUpNoRefreshToken(t *testing.T) {
	err := app.Trace(t.Context(), io.Discard, app.TraceConfig{
		Config: rotatingConfig(t, "http://127.0.0.1:1"), Credential: "corp",
	})
	if err == nil || !strings.Contains(err.Error(), "good for one use") {
		t.Errorf("%v", err)
	}
}

// Neither must check --live, and what needs such a token is not tried either.
func TestCheckLiveUsesUpNoRefreshToken(t *testing.T) {
	var asked atomic.Int64
	vendor := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer vendor.Close()
	var out strings.Builder
	cfg := app.LiveConfig{Config: rotatingConfig(t, vendor.URL), Timeout: time.Minute}
	if err := app.CheckLive(t.Context(), &out, cfg); err != nil {
		t.Errorf("what is not tried is no failure: %v", err)
	}
	if asked.Load() != 0 || !strings.Contains(out.String(), "not tried") || !strings.Contains(out.String(), "good for one use") || !strings.Contains(out.String(), "it needs corp.access") {
		t.Errorf("%d requests, and\n%s", asked.Load(), out.String())
	}
}

// rotatingConfig has a token that rotates, at the vendor of that URL, and one
// that needs it.
func rotatingConfig(t *testing.T, url string) *config.Config {
	t.Helper()
	data, err := os.ReadFile("../config/testdata/bad/recipes/rotates.yaml")
	if err != nil {
		t.Fatal(err)
	}
	child := "  child: {request: {url: \"${token_url}/child\", headers: {X-Access: \"${access}\"}}, value: {json: token}, lifetime: 1h}\ninject:"
	var rep yamldoc.Report
	r, _ := recipe.Parse(&rep, "rotates.yaml", []byte(strings.Replace(string(data), "inject:", child, 1)))
	c, ok := recipe.Bind(&rep, r, recipe.BindConfig{Name: "corp", With: map[string]recipe.Origin{
		"token_url": {Ref: secret.Literal(url)}, "refresh_token": {Ref: secret.Literal("r")},
	}})
	if !ok {
		t.Fatal(rep.Err())
	}
	return &config.Config{Credentials: []config.Credential{{Name: "corp", Program: c}}}
}
