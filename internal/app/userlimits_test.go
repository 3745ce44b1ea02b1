package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"attache/internal/emulator"
)

// limited runs attache in front of an AICC with two credentials: "few", whose
// users are bounded by limits, and "free".
func limited(t *testing.T, limits string) (*world, *emulator.Emulator) {
	t.Helper()
	emu, url := vendor(t, emulator.HuaweiAICC, emulator.Options{})
	with := fmt.Sprintf(`with: {endpoint: "%s", app_key: %s, app_secret: %s, channel_id: "%s", user_id: {header: X-User-Id}}`,
		url, emulator.AICCAppKey, emulator.AICCAppSecret, emulator.AICCChannelID)
	return start(t, fmt.Sprintf(`
credentials:
  few:
    recipe: huawei-aicc
    instances: %[1]s
    %[2]s
  free:
    recipe: huawei-aicc
    %[2]s
routes:
  - {name: few, path: /aicc/, upstream: "%[3]s/apiaccess/ccmessaging", use: [few]}
  - {name: free, path: /free/, upstream: "%[3]s/apiaccess/ccmessaging", use: [free]}
`, limits, with, url)), emu
}

// TestUserLimits: whoever comes after the limit gets 429 with the reason; the
// users before, and those of the other credential, notice nothing.
func TestUserLimits(t *testing.T) {
	w, emu := limited(t, "{max: 100, logins_per_minute: 2}")
	path := func(route, user string) string { return "/" + route + "/poll?channel=WEB&receiverId=" + user }
	for _, user := range []string{"u1", "u2"} {
		w.good(w.do("GET", path("aicc", user), "", "X-User-Id", user), `"resultCode":"0"`)
	}
	before := emu.Stats().Calls[emulator.HuaweiAICC]
	a := w.do("GET", path("aicc", "u3"), "", "X-User-Id", "u3")
	if a.status != http.StatusTooManyRequests || !strings.Contains(a.body, `"credential":"few","class":"logins_per_minute"`) || a.header.Get("Retry-After") == "" ||
		a.header.Get("Proxy-Status") != "attache; error=http_request_error" {
		t.Errorf("one too many: %d %v %s", a.status, a.header, a.body)
	}
	if got := emu.Stats().Calls[emulator.HuaweiAICC] - before; got != 0 {
		t.Errorf("the upstream saw %d requests of a user beyond the limit", got)
	}
	w.good(w.do("GET", path("aicc", "u1"), "", "X-User-Id", "u1"), `"resultCode":"0"`)
	w.good(w.do("GET", path("free", "u3"), "", "X-User-Id", "u3"), `"resultCode":"0"`)
}
