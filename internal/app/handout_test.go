//go:build linux

package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attache/internal/emulator"
)

// handedOut is the answer of the hand-out.
type handedOut struct {
	Token, Value string
	Generation   uint64
}

func decodeHanded(t *testing.T, body string) (h handedOut) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &h); err != nil || h.Value == "" {
		t.Fatalf("%s: %v", body, err)
	}
	return h
}

// TestHandOutOnASocket: the token works at the vendor; once refused it is
// renewed for the proxy's requests as well; and its value is in no log.
func TestHandOutOnASocket(t *testing.T) {
	dir := t.TempDir()
	emu, url := vendor(t, emulator.HuaweiAICC, emulator.Options{})
	change(t, emu, func(s *emulator.Settings) { s.AICC.Renew = emulator.RenewOff })
	w := startIn(t, dir, fmt.Sprintf(`
listen: 127.0.0.1:0
handout: {unix: handout.sock, callers: [{name: me, uid: %[5]d}], credentials: [aicc]}
credentials:
  aicc:
    recipe: huawei-aicc
    refresh: {min_interval: 100ms}
    with: {endpoint: "%[1]s", app_key: "%[2]s", app_secret: "%[3]s", channel_id: "%[4]s", user_id: {header: X-User-Id}, user_name: n}
  hidden:
    recipe: openim
    with: {endpoint: "%[1]s", secret: s, platform_id: 1, user_id: u1}
routes:
  - {path: /aicc/, upstream: "%[1]s/apiaccess/ccmessaging", use: [aicc]}
`, url, emulator.AICCAppKey, emulator.AICCAppSecret, emulator.AICCChannelID, os.Geteuid()))
	if got, want := w.app.HandoutAddr(), filepath.Join(dir, "handout.sock"); got != want {
		t.Errorf("the hand-out is at %s, want %s", got, want)
	}
	ask := func(path string, header ...string) (int, string) {
		t.Helper()
		ans, body, err := through(t, overSocket(w.app.HandoutAddr()), "http://localhost"+path, header...)
		if err != nil {
			t.Fatal(err)
		}
		return ans.StatusCode, body
	}
	for path, want := range map[string]int{"/token/aicc": 400, "/token/aicc.messaging": 400, "/token/hidden": 404} {
		if status, body := ask(path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	_, body := ask("/token/aicc.messaging", "X-User-Id", "u1")
	messaging := decodeHanded(t, body)
	_, body = ask("/token/aicc.access")
	access := decodeHanded(t, body)
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/apiaccess/ccmessaging/poll?channel=WEB&receiverId=u1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-App-Key", emulator.AICCAppKey)
	r.Header.Set("Authorization", "Bearer "+access.Value)
	r.Header.Set("ccmessaging-token", messaging.Value)
	ans, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	ans.Body.Close()
	if ans.StatusCode != http.StatusOK {
		t.Errorf("the vendor answers %d to what was handed out", ans.StatusCode)
	}
	_, body = ask(fmt.Sprint("/token/aicc.messaging?not=", messaging.Generation), "X-User-Id", "u1")
	renewed := decodeHanded(t, body)
	if renewed.Generation != messaging.Generation+1 || renewed.Value == messaging.Value {
		t.Errorf("renewed: %+v", renewed)
	}
	if got := emu.Stats().Logins; got["messaging"] != 2 || got["access"] != 1 {
		t.Errorf("logins %v", got)
	}
	w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	logs := w.logs.String()
	if want := fmt.Sprintf("credential=aicc token=messaging generation=2 caller=me uid=%d pid=%d", os.Geteuid(), os.Getpid()); !strings.Contains(logs, want) {
		t.Errorf("the log lacks %s:\n%s", want, logs)
	}
	status := w.admin("/api/status").body + w.admin("/metrics").body
	for _, value := range []string{access.Value, messaging.Value, renewed.Value} {
		if strings.Contains(logs+status, value) {
			t.Error("a token shows in the log, the status or the metrics")
		}
	}
}

func TestHandOutAsksCallersBehindTheGuard(t *testing.T) {
	dir := t.TempDir()
	writeToken(t, dir)
	w := startIn(t, dir, `
listen: 127.0.0.1:0
handout: {address: "127.0.0.1:0", callers: [{name: job, bearer: {file: token}}]}
`+imBehind(t))
	ask := func(header ...string) (int, string) {
		t.Helper()
		ans, body, err := through(t, &http.Transport{}, "http://"+w.app.HandoutAddr()+"/token/im", header...)
		if err != nil {
			t.Fatal(err)
		}
		return ans.StatusCode, body
	}
	known := []string{"Proxy-Authorization", "Bearer " + callersToken}
	if status, body := ask(); status != http.StatusProxyAuthRequired || strings.Contains(body, "value") {
		t.Errorf("nobody: %d %s", status, body)
	}
	if status, body := ask(append(known, "Origin", "https://foreign.example")...); status != http.StatusForbidden {
		t.Errorf("a foreign page: %d %s", status, body)
	}
	status, body := ask(known...)
	if status != http.StatusOK {
		t.Fatalf("a caller: %d %s", status, body)
	}
	decodeHanded(t, body)
	for _, want := range []string{"level=WARN msg=\"refused a caller", "caller=job remote=127.0.0.1:", "for=handout address=127.0.0.1:"} {
		if !strings.Contains(w.logs.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, w.logs)
		}
	}
}
