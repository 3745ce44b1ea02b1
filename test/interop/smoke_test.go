package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestInjection sees that the harness does what the suites rely on.
func TestInjection(t *testing.T) {
	tokens := newTokenServer(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("Authorization"), r.URL.RawQuery)
	}))
	defer upstream.Close()
	a := start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: %q, use: [c]}
`, tokens.recipe(t, `
inject:
  - {header: Authorization, value: "Bearer ${access}"}
  - {query: access_token, value: "${access}"}
`), upstream.URL))
	answer, err := http.Get("http://" + a.address + "/x?access_token=mine")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); string(text) != "Bearer token-1 access_token=token-1" {
		t.Errorf("the upstream got %s", text)
	}
	resident := a.status(t, "VmRSS")
	measured(t, "resident memory after one request", fmt.Sprintf("%d MiB", resident>>20))
	// Without giving back what only the start needed (internal/resident) it is
	// 16 MiB.
	if resident >= 14<<20 {
		t.Errorf("%d bytes are resident, 14 MiB or more", resident)
	}
}
