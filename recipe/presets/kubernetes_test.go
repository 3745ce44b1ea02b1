package presets_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"attache/refresher"
)

// The token is what the kubelet has put in the file, and lives as long as it
// says itself.
func TestServiceAccountReadsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	account := token(t, bind(t, "kubernetes/service-account", map[string]string{"file": path}), "account")
	for i := range 2 {
		end := time.Now().Add(time.Hour).Truncate(time.Second)
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d,"n":%d}`, end.Unix(), i))
		text := "eyJhbGciOiJub25lIn0." + claims + ".c2ln"
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := account.Source(nil, "").Fetch(t.Context(), refresher.Input{})
		if err != nil || got.Value.Reveal() != text {
			t.Fatalf("token %d: %q, %v", i, got.Value.Reveal(), err)
		}
		if !got.ExpiresAt.Round(time.Second).Equal(end) {
			t.Errorf("token %d lives until %v, want %v", i, got.ExpiresAt, end)
		}
	}
}
