package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attache/internal/emulator"
)

// A store that is out of order is told of, and so is that it works again, once.
func TestStoreWorksAgainIsLogged(t *testing.T) {
	_, url := vendor(t, emulator.OpenIM, emulator.Options{})
	dir := t.TempDir()
	state := filepath.Join(dir, "state") // a file where the folder of the store is to be
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := runFile(t, dir, stored(url, fileStore))
	l.good(l.call(), `"errCode":0`)
	const failed, works = "the token store failed", "the token store works again"
	if log := l.logs.String(); !strings.Contains(log, failed) || strings.Contains(log, works) {
		t.Fatalf("log:\n%s", log)
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	l.until("the store works again", func() bool { return strings.Contains(l.logs.String(), works) })
	l.stop()
	if n := strings.Count(l.logs.String(), works); n != 1 || !strings.Contains(l.logs.String(), "down_for=") {
		t.Errorf("told %d times:\n%s", n, l.logs.String())
	}
}
