package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/terminal"
	"attache/internal/terminal/terminaltest"
)

// What a vendor sends as a token, an output, a message or a lifetime does not move a
// terminal's cursor, retitle it or write to its clipboard, also where tokens are
// shown as they are. What is no terminal gets those byte by byte.
func TestVendorsWriteNothingButTextOnATerminal(t *testing.T) {
	const (
		hostile = `\u001b]52;c;aGk=\u0007\u001b[2J\u009b31m\u202e`
		subtle  = `\u009d52;c;aGk=\u009c\u009b31m\u202e` // no control character of ASCII: it may be a token
	)
	for _, c := range []struct {
		name, answer string
		good         bool
	}{
		{"token", `{"code":0,"token":"tok` + hostile + `","out":"out","ttl":3600}`, false},
		{"odd lifetime", `{"code":0,"token":"tok` + hostile + `","out":"out` + hostile + `","ttl":"soon` + hostile + `"}`, false},
		{"subtle token", `{"code":0,"token":"tok` + subtle + `","out":"out` + subtle + `","ttl":3600}`, true},
		{"subtle lifetime", `{"code":0,"token":"tok` + subtle + `","out":"out` + subtle + `","ttl":"soon` + subtle + `"}`, true},
		{"refused", `{"code":9,"message":"no` + hostile + `"}`, false},
		{"refused subtly", `{"code":9,"message":"no` + subtle + `"}`, false},
		{"no JSON", "\x1b]52;c;aGk=\a\x1b[2J\u009b31m\u202e", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Odd", "\x9b31m\u202e")
				io.WriteString(w, c.answer)
			}))
			defer vendor.Close()
			recipe := `{recipe: odd, params: {endpoint: {required: true, type: url}}, tokens: {access: {request: {method: POST, url: "${endpoint}/login"},
				errors: [{json: {code: 9}, class: permanent}], message: {json: message}, success: {json: {code: 0}},
				value: {json: token}, outputs: {out: {json: out}}, lifetime: [{json: ttl, as: seconds}, 1h]}},
				inject: [{query: access_token, value: "${access}"}, {query: out, value: "${access.out}"}]}`
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "odd.yaml"), []byte(recipe), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "credentials: {c: {recipe: odd.yaml, with: {endpoint: %q}}}\nroutes: [{path: /, upstream: %q, use: [c]}]\n", vendor.URL, vendor.URL), dir)
			if err != nil {
				t.Fatal(err)
			}
			pty := terminaltest.Open(t, 400, 60)
			trace := app.TraceConfig{Config: cfg, Credential: "c", Header: http.Header{}, Query: url.Values{}}
			hidden := app.Trace(t.Context(), pty.Slave, trace)
			trace.Reveal = true
			revealed := app.Trace(t.Context(), pty.Slave, trace)
			live := app.CheckLive(t.Context(), pty.Slave, app.LiveConfig{Config: cfg, Timeout: 20 * time.Second})
			if (hidden == nil) != c.good || (revealed == nil) != c.good || (live == nil) != c.good {
				t.Errorf("%v, %v, %v", hidden, revealed, live)
			}
			terminal.Say(pty.Slave, terminal.Bad, "attache: ", fmt.Sprint(hidden, revealed, live))
			fmt.Fprintln(pty.Slave, "THE END")
			s := pty.Wait("the end", func(s *terminaltest.Screen) bool { return strings.Contains(s.String(), "THE END") })
			for _, r := range s.String() {
				if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e) {
					t.Errorf("%U reached the terminal", r)
				}
			}
			if s.Unknown != "" {
				t.Errorf("the terminal got %q", s.Unknown)
			}
			var pipe strings.Builder
			if app.Trace(t.Context(), &pipe, trace); c.good != strings.Contains(pipe.String(), "the token: tok\u009d52;c;aGk=\u009c\u009b31m\u202e\n") {
				t.Errorf("a pipe gets\n%s", &pipe)
			}
		})
	}
}
