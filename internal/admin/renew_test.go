package admin

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"attache/refresher"
)

// renewing is an Admin that renews tokens, and the tokens that it was asked for.
func renewing(t *testing.T) (h http.Handler, asked *[]string) {
	asked = &[]string{}
	a := (&fake{}).admin(t)
	a.cfg.Renew = func(credential, token string) error {
		*asked = append(*asked, credential+"."+token)
		switch credential {
		case "im":
			return nil
		case "users":
			return ErrKeyed
		case "often":
			return refresher.ErrTooOften
		}
		return ErrNoToken
	}
	return a.Handler(nil), asked
}

func TestRenew(t *testing.T) {
	h, asked := renewing(t)
	for _, tt := range []struct {
		target string
		code   int
		text   string
	}{
		{"/-/renew?credential=im&token=user", 202, "renewing\n"},
		{"/-/renew?credential=users&token=t", 409, "one for each user"},
		{"/-/renew?credential=often&token=t", 429, "too often"},
		{"/-/renew?credential=nobody&token=t", 404, "no such token"},
		{"/-/renew", 400, "say which token"},
		{"/-/renew?credential=%zz", 400, "say which token"},
	} {
		r := httptest.NewRequest("POST", tt.target, nil)
		r.RemoteAddr = "127.0.0.1:5000"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.text) {
			t.Errorf("%s: %d %q, want %d with %q", tt.target, w.Code, w.Body, tt.code, tt.text)
		}
	}
	if got := strings.Join(*asked, " "); got != "im.user users.t often.t nobody.t" {
		t.Errorf("asked for %s", got)
	}
	if w := ask(h, "GET", "/-/renew?credential=im&token=user"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
	if w := ask((&fake{}).admin(t).Handler(nil), "POST", "/-/renew"); w.Code != 404 {
		t.Errorf("where nothing can be renewed: %d", w.Code)
	}
}

// Who may renew is said by the connection, and status tells each client whether
// it may.
func TestOnlyThisMachineRenews(t *testing.T) {
	unix := &net.UnixAddr{Name: "/run/admin.sock", Net: "unix"}
	tcp := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8485}
	for _, tt := range []struct {
		name    string
		peer    string
		local   net.Addr
		headers []string
		code    int
	}{
		{"loopback", "127.0.0.1:5000", tcp, nil, 202},
		{"any of 127/8", "127.3.2.1:5000", nil, nil, 202},
		{"IPv6", "[::1]:5000", nil, nil, 202},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:5000", nil, nil, 202},
		{"Unix socket", "@", unix, nil, 202},
		{"Unix socket without a name", "", unix, nil, 202},
		{"its own page", "127.0.0.1:5000", tcp, []string{"Origin", "http://127.0.0.1:8485", "Sec-Fetch-Site", "same-origin"}, 202},

		{"another machine", "192.0.2.7:5000", tcp, nil, 403},
		{"another machine by IPv6", "[2001:db8::1]:5000", tcp, nil, 403},
		{"all addresses", "0.0.0.0:5000", tcp, nil, 403},
		{"nobody", "", tcp, nil, 403},
		{"a name", "localhost:5000", tcp, nil, 403},
		{"a lie about the address", "192.0.2.7:5000", tcp, []string{
			"X-Forwarded-For", "127.0.0.1", "X-Real-Ip", "127.0.0.1", "Forwarded", "for=127.0.0.1", "True-Client-Ip", "::1",
		}, 403},
		{"another page of this machine", "127.0.0.1:5000", tcp, []string{"Origin", "http://127.0.0.1:3000"}, 403},
		{"a page of another site", "127.0.0.1:5000", tcp, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a page of the same site", "127.0.0.1:5000", tcp, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a page without an origin", "127.0.0.1:5000", tcp, []string{"Origin", "null"}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, asked := renewing(t)
			send := func(method, path string, headers ...string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, "http://127.0.0.1:8485"+path, nil)
				r.RemoteAddr = tt.peer
				if tt.local != nil {
					r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, tt.local))
				}
				for i := 0; i < len(headers); i += 2 {
					r.Header.Set(headers[i], headers[i+1])
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			w := send("POST", "/-/renew?credential=im&token=user", tt.headers...)
			if w.Code != tt.code || len(*asked) != map[int]int{202: 1, 403: 0}[tt.code] {
				t.Errorf("%d %q and %d renewals, want %d", w.Code, w.Body, len(*asked), tt.code)
			}
			var status struct{ Renew *bool }
			if err := json.Unmarshal(send("GET", "/api/status").Body.Bytes(), &status); err != nil || status.Renew == nil {
				t.Fatal(err)
			}
			foreignPage := len(tt.headers) == 2 // on this machine, so that its address may
			if want := tt.code == 202 || foreignPage; *status.Renew != want {
				t.Errorf("status says %v, want %v", *status.Renew, want)
			}
		})
	}
}
