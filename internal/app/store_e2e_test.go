package app_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/emulator"
	"attache/internal/lanetest"
)

// storeKey is a key that stands in the file, which is a warning.
const storeKey = "0123456789abcdef0123456789abcdef"

// stored is a configuration with a store in the folder of the file.
func stored(url, store string) string {
	return addresses + store + "credentials:" + openIMCredential("a", url, "openIM123", "u1") +
		fmt.Sprintf("routes:\n  - {upstream: %q, use: [a]}\n", url)
}

const fileStore = "store: {file: state/tokens, key: " + storeKey + "}\n"

// down makes a vendor's logins fail, and no others.
func down(t *testing.T, emu *emulator.Emulator) {
	t.Helper()
	change(t, emu, func(s *emulator.Settings) { s.Login = emulator.Trouble{Fault: emulator.FaultDown} })
}

// call sends a request that needs a token.
func (w *world) call() answer { return w.do("POST", "/user/get_users_info", `{}`) }

// A restart with a store in a file serves at once, though the vendor's logins
// fail.
func TestFileStoreSurvivesARestart(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	dir, text := t.TempDir(), stored(url, fileStore)
	first := runFile(t, dir, text)
	first.good(first.call(), `"errCode":0`)
	first.stop()
	down(t, emu)
	second := runFile(t, dir, text)
	second.good(second.call(), `"errCode":0`)
	if n := logins(emu); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if info, err := os.Stat(filepath.Join(dir, "state", "tokens")); err != nil || info.Mode() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the file: mode %v, error %v", info.Mode(), err)
	}
	second.stop()
	for _, log := range []string{first.logs.String(), second.logs.String()} {
		if strings.Contains(log, storeKey) || strings.Contains(log, "the token store failed") {
			t.Errorf("log:\n%s", log)
		}
	}
}

// So does one after a kill: what was served had been saved.
func TestFileStoreSurvivesAKill(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	dir, text := t.TempDir(), stored(url, fileStore)
	file := filepath.Join(dir, "attache.yaml")
	if err := os.WriteFile(file, []byte(lanetest.Configuration(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestChildOfFileStore$", "-test.v")
	child.Env = append(os.Environ(), childFile+"="+file)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != hasServed; {
		fmt.Fprintln(&said, lines.Text())
	}
	_ = child.Process.Kill()
	if err := child.Wait(); child.ProcessState.Exited() { // by itself, and not by the kill
		t.Fatalf("the child ended: %v\n%s", err, &said)
	}
	down(t, emu)
	second := runFile(t, dir, text)
	second.good(second.call(), `"errCode":0`)
	if n := logins(emu); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

const (
	// childFile names the variable with the configuration of a child.
	childFile = "ATTACHE_TEST_CHILD_FILE"
	// hasServed is what the child says when it is to be killed.
	hasServed = "the child has served"
)

// TestChildOfFileStore is the process that is killed.
func TestChildOfFileStore(t *testing.T) {
	file := os.Getenv(childFile)
	if file == "" {
		t.Skip("this is for a child of another test")
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, app: a, logs: &lockedBuffer{}}
	w.run()
	w.good(w.call(), `"errCode":0`)
	// The token is published before a second has passed even if the save hangs:
	// a look at the file says that it is there.
	w.until("the token is in the file", func() bool {
		info, err := os.Stat(filepath.Join(filepath.Dir(file), "state", "tokens"))
		return err == nil && info.Size() > 100
	})
	fmt.Println(hasServed)
	<-context.Background().Done()
}

// Two processes with one file: the second starts, logs in for itself, says what
// to do, and has the file once the first has ended.
func TestFileStoreOfAnotherProcess(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	dir, text := t.TempDir(), stored(url, fileStore)
	first := runFile(t, dir, text)
	first.good(first.call(), `"errCode":0`)
	second := runFile(t, dir, text)
	second.good(second.call(), `"errCode":0`)
	if n := logins(emu); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	if log := second.logs.String(); !strings.Contains(log, "is in use by another process of attache") {
		t.Errorf("log:\n%s", log)
	}
	first.stop()
	second.stop()
	third := runFile(t, dir, text)
	third.good(third.call(), `"errCode":0`)
	if n := logins(emu); n != 2 {
		t.Errorf("%d logins, want 2: the file is there", n)
	}
}

// A reload changes neither the place of tokens nor their keys, and says so.
func TestReloadOfTheStore(t *testing.T) {
	_, url := vendor(t, emulator.OpenIM, emulator.Options{})
	l := runFile(t, t.TempDir(), stored(url, fileStore))
	l.good(l.call(), `"errCode":0`)
	for _, store := range []string{"", "store: {file: state/other, key: " + storeKey + "}\n",
		"store: {file: state/tokens, key: " + storeKey + ", namespace: a}\n",
		"store: {redis: 'redis://127.0.0.1:1', key: " + storeKey + "}\n"} {
		if code, body := l.reload(stored(url, store)); code == http.StatusOK || !strings.Contains(body, "tokens do not move while attache runs: restart it") {
			t.Errorf("%q: %d %s", store, code, body)
		}
	}
	const warning = "they take effect at the next start"
	if log := l.logs.String(); strings.Contains(log, warning) {
		t.Errorf("log:\n%s", log)
	}
	l.reloaded(stored(url, "store: {file: state/tokens, key: [another "+storeKey+", "+storeKey+"], on_outage: hold}\n"))
	if log := l.logs.String(); !strings.Contains(log, warning) {
		t.Errorf("log:\n%s", log)
	}
	l.good(l.call(), `"errCode":0`)
}
