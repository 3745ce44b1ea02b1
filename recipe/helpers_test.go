package recipe

import (
	"encoding/base64"
	"os"
	"regexp"
	"testing"
)

func b64(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var fingerprint = regexp.MustCompile(`secret:[0-9a-f]{8}`)
