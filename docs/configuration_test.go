package docs

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every example of the reference is a configuration, so that
// TestConfigurationsAreAccepted reads it.
func TestReferenceShowsWholeConfigurations(t *testing.T) {
	for _, block := range yamlBlocks(read(t, "configuration.md")) {
		key, _, _ := strings.Cut(block, ":")
		if !slices.Contains([]string{"listen", "handout", "certificates", "store", "lane", "credentials", "routes"}, key) {
			t.Errorf("the example begins with %s, so nobody tries whether it is right:\n%s", key, block)
		}
	}
}

// writeKeys writes the PEM files that examples name.
func writeKeys(t *testing.T, dir string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	for name, block := range map[string]*pem.Block{
		"corp-ca.pem": certificate, "client.pem": certificate, "client-key.pem": {Type: "PRIVATE KEY", Bytes: key},
		"server.pem": certificate, "server-key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
