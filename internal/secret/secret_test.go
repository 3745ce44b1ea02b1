package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"attache/internal/secret"
)

const canary = "canary-8d1f/+ \"x\""

// TestStringNeverShows puts a secret through every way of printing that Go
// programs use, also where it hides in an unexported field.
func TestStringNeverShows(t *testing.T) {
	s := secret.New(canary)
	type hidden struct {
		S secret.String
		s secret.String
		p *secret.String
		m map[string]secret.String
		l []secret.String
	}
	type element struct {
		S secret.String
		A secret.String `xml:",attr"`
	}
	h := hidden{S: s, s: s, p: &s, m: map[string]secret.String{"k": s}, l: []secret.String{s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+"\n", []any{s, h})
	}
	for _, v := range []any{s, &s, h, map[string]any{"a": s}, []secret.String{s}} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(j)
		y, err := yaml.Marshal(map[string]any{"v": s, "all": v})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(y)
		x, err := xml.Marshal(element{S: s, A: s})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(x)
		log.New(&out, "", 0).Print(v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	}
	fmt.Fprintln(&out, fmt.Errorf("wrapped %v", s))
	for _, spelling := range []string{canary, fmt.Sprintf("%x", canary), "canary-8d1f"} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(spelling)) {
			t.Errorf("the secret shows as %q in:\n%s", spelling, out.String())
		}
	}
	if !strings.Contains(out.String(), s.Fingerprint()) {
		t.Error("no fingerprint anywhere")
	}
}

func TestString(t *testing.T) {
	var zero secret.String
	if !zero.IsEmpty() || zero.Reveal() != "" || zero.Fingerprint() != "secret:empty" {
		t.Errorf("zero value: %v", zero)
	}
	if !secret.New("").Equal(zero) {
		t.Error("the empty secret is not the zero value")
	}
	a, b := secret.New("x"), secret.New("x")
	if !a.Equal(b) || a.Fingerprint() != b.Fingerprint() {
		t.Error("equal texts differ")
	}
	if a.Equal(secret.New("y")) || a.Fingerprint() == secret.New("y").Fingerprint() {
		t.Error("different texts are equal")
	}
}

func TestRefFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := secret.File(path)
	if _, err := r.Read(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	for text, want := range map[string]string{"one": "one", "two\n": "two", "three\r\n": "three", "four\n\n": "four\n", " five ": " five "} {
		write(text)
		got, err := r.Read()
		if err != nil || got.Reveal() != want || r.Current().Reveal() != want {
			t.Errorf("%q read as %q, %v", text, got.Reveal(), err)
		}
	}
	write("kept")
	kept, _ := r.Read()
	write("\n")
	if _, err := r.Read(); err == nil {
		t.Error("an empty file is a secret")
	}
	write(strings.Repeat("x", secret.MaxFileSize+1))
	if _, err := r.Read(); err == nil || len(err.Error()) > 300 {
		t.Errorf("a huge file is a secret: %v", err)
	}
	if _, err := secret.File(t.TempDir()).Read(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if !r.Current().Equal(kept) {
		t.Error("an unreadable change did not keep the old value")
	}
}

func TestRefEnv(t *testing.T) {
	r := secret.Env("ATTACHE_TEST_SECRET")
	if _, err := r.Read(); err == nil || err.Error() != "environment variable ATTACHE_TEST_SECRET is not set" {
		t.Errorf("unset: %v", err)
	}
	t.Setenv("ATTACHE_TEST_SECRET", "v")
	if s, err := r.Read(); err != nil || s.Reveal() != "v" {
		t.Errorf("set: %v %v", s.Reveal(), err)
	}
	if r.String() != "env:ATTACHE_TEST_SECRET" || secret.Literal(canary).String() != "literal" {
		t.Error("a reference names more or less than its place")
	}
}

func TestScrub(t *testing.T) {
	s, long := secret.New(canary), secret.New("token-abcdef")
	tests := []struct {
		name, text string
		max        int
		want       string
	}{
		{"plain", "bad " + canary + "!", 0, "bad [redacted]!"},
		{"form", "q=canary-8d1f%2F%2B+%22x%22", 0, "q=[redacted]"},
		{"json", `{"e":"canary-8d1f/+ \"x\""}`, 0, `{"e":"[redacted]"}`},
		{"base64", "Basic Y2FuYXJ5LThkMWYvKyAieCI=", 0, "Basic [redacted]"},
		{"json in json", `{"e":"{\\"p\\":\\"canary-8d1f/+ \\\\\\"x\\\\\\"\\"}"}`, 0, `{"e":"{\\"p\\":\\"[redacted]\\"}"}`},
		{"lower percent", "canary-8d1f%2f%2b%20%22x%22", 0, "[redacted]"},
		{"percent twice", "canary-8d1f%252F%252B%2520%2522x%2522", 0, "[redacted]"},
		{"html", "canary-8d1f/+ &quot;x&#34;", 0, "[redacted]"},
		{"unicode escapes", `canary-8d1f/+ \u0022x\u0022`, 0, "[redacted]"},
		{"hex", "63616e6172792d386431662F2b", 0, "63616e6172792d386431662F2b"},
		{"hex of the token", "746f6b656e2d616263646566", 0, "[redacted]"},
		{"HEX of the token", "746F6B656E2D616263646566", 0, "[redacted]"},
		{"base64 in a query", "a=dG9rZW4tYWJjZGVm%3D&b", 0, "a=[redacted]%3D&b"},
		{"escaped slashes", `canary-8d1f\/+ \"x\"`, 0, "[redacted]"},
		{"cut off by the sender", "you sent token-abc", 0, "you sent [redacted]"},
		{"two", "token-abcdef and token-abcdef", 0, "[redacted] and [redacted]"},
		{"cut after scrubbing", "xx token-abcdef yy", 6, "xx [re…"},
		{"cut at a rune", "aé", 2, "a…"},
		{"nothing to do", "fine", 10, "fine"},
	}
	for _, test := range tests {
		if got := secret.Scrub(test.text, test.max, s, long, secret.String{}); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("a secret here", "secret")
	f.Fuzz(func(t *testing.T, text, hidden string) {
		if len(hidden) < 4 || strings.Contains("[redacted]", hidden) || strings.ContainsAny(hidden, "[]") {
			return
		}
		if out := secret.Scrub(text, 0, secret.New(hidden)); strings.Contains(out, hidden) {
			// Removing one occurrence may never put another together.
			t.Errorf("%q still holds %q", out, hidden)
		}
	})
}

// TestScrubTakesLinearTime would run for minutes if it did not.
func TestScrubTakesLinearTime(t *testing.T) {
	var secrets []secret.String
	for i := range 8 {
		secrets = append(secrets, secret.New(strings.Repeat("a", 500+i)+"b"))
	}
	if out := secret.Scrub(strings.Repeat("a", 1<<16), 100, secrets...); len(out) > 200 {
		t.Errorf("not cut: %d bytes", len(out))
	}
}

func BenchmarkScrub(b *testing.B) {
	text := strings.Repeat(`{"error":"bad %7Btoken%7D \\u0041"} `, 100)
	long := secret.New(strings.Repeat("k", 40))
	for b.Loop() {
		secret.Scrub(text, 300, long, long, secret.New("another-secret"))
	}
}
