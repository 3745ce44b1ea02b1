package recipe

import (
	"encoding/base64"
	"os"
	"regexp"
	"testing"

	"attache/internal/shape"
)

func b64(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var fingerprint = regexp.MustCompile(`secret:[0-9a-f]{8}`)

// keys is the shape of an object of a test's own files.
func keys(names ...string) shape.Object {
	o := shape.Object{Name: "test"}
	for _, name := range names {
		o.Keys = append(o.Keys, shape.Key{Name: name})
	}
	return o
}
