package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestRefusedGRPCCall goes from a recipe's grpc rule to the wire, HTTP/2 without
// TLS on both sides: refused in the head it is repaired, and refused after a
// message it renews the token for the next one.
func TestRefusedGRPCCall(t *testing.T) {
	for _, where := range []string{"head", "trailer"} {
		t.Run(where, func(t *testing.T) {
			var logins, calls atomic.Int64
			login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				json.NewEncoder(w).Encode(map[string]any{"token": fmt.Sprint("t", logins.Add(1))})
			}))
			t.Cleanup(login.Close)
			only2 := new(http.Protocols)
			only2.SetUnencryptedHTTP2(true)
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/grpc")
				status := "0"
				if r.Header.Get("Authorization") == "Bearer t1" {
					status = "16"
				}
				if where == "head" {
					w.Header().Set("Grpc-Status", status)
					return
				}
				io.WriteString(w, "\x00\x00\x00\x00\x00") // a message: too late for a repair
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
			}))
			up.Config.Protocols = only2
			up.Start()
			t.Cleanup(up.Close)
			recipe := filepath.Join(t.TempDir(), "own.yaml")
			text := fmt.Sprintf(`
recipe: own
tokens:
  access:
    request: {method: POST, url: "%s/login"}
    value: {json: token}
    lifetime: [1h]
inject: [{header: Authorization, value: "Bearer ${access}"}]
refused: [{token: access, grpc: unauthenticated}]
`, login.URL)
			if err := os.WriteFile(recipe, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			w := start(t, fmt.Sprintf(`
credentials: {own: {recipe: "%s", refresh: {min_interval: 100ms}}}
routes: [{path: /, upstream: "%s", protocol: h2c, use: [own]}]
`, recipe, up.URL))
			tr := &http.Transport{Protocols: only2}
			t.Cleanup(tr.CloseIdleConnections)
			call := func() string {
				r, _ := http.NewRequest("POST", "http://"+w.app.Addr()+"/svc/Method", strings.NewReader("\x00\x00\x00\x00\x00"))
				r.Header.Set("Content-Type", "application/grpc")
				ans, err := tr.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer ans.Body.Close()
				if _, err := io.ReadAll(ans.Body); err != nil {
					t.Error(err)
				}
				return ans.Header.Get("Grpc-Status") + ans.Trailer.Get("Grpc-Status")
			}
			first, second := call(), call()
			want := "0"
			if where == "trailer" {
				want = "16"
			}
			if first != want || second != "0" || logins.Load() != 2 {
				t.Errorf("the calls ended with %q and %q after %d calls and %d logins", first, second, calls.Load(), logins.Load())
			}
		})
	}
}
