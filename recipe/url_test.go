package recipe

import "testing"

// A slash at the end of a whole address is part of it; before a path it would
// stand there twice.
func TestSlashAtTheEndOfABaseURL(t *testing.T) {
	tests := []struct{ url, base, want string }{
		{"${endpoint}", "https://id.example.com/o/token/", "https://id.example.com/o/token/"},
		{"${endpoint}", "https://id.example.com/o/token", "https://id.example.com/o/token"},
		{"${endpoint}?a=b", "https://id.example.com/o/token/", "https://id.example.com/o/token/?a=b"},
		{"${endpoint}/login", "https://id.example.com/o/", "https://id.example.com/o/login"},
		{"${endpoint}/login", "https://id.example.com/o//", "https://id.example.com/o/login"},
		{"${endpoint}/login", "https://id.example.com", "https://id.example.com/login"},
	}
	for _, tt := range tests {
		c := loadConfig(t, "recipe: x\nparams: {endpoint: {required: true, type: url}}\ntokens: {a: {request: {url: \""+tt.url+
			"\"}, value: {json: t}, lifetime: 1h}}\n", "credentials: {c: {with: {endpoint: \""+tt.base+"\"}}}\n")
		rt := &canned{answer: []byte("HTTP/1.1 200 OK\n\n{}")}
		p := c.creds["c"].program("a")
		_, _ = fixedSource(p, rt).Fetch(t.Context(), input(p))
		if want := "GET " + tt.want + " HTTP/1.1\n"; len(rt.sent) < len(want) || rt.sent[:len(want)] != want {
			t.Errorf("%s with %s: sent %q, want %q", tt.url, tt.base, rt.sent, want)
		}
	}
}

func TestBadInHeader(t *testing.T) {
	for c := range 256 {
		want := ""
		switch {
		case c == '\r', c == '\n':
			want = "contains a line break"
		case c < ' ' && c != '\t', c == 0x7f:
			want = "contains a control character"
		}
		if got := badInHeader("ab" + string([]byte{byte(c)}) + "c"); got != want {
			t.Errorf("0x%02x: %q, want %q", c, got, want)
		}
	}
}
