package store

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

func codecExamples() map[string]refresher.Stored {
	at := time.UnixMilli(1_700_000_000_123)
	return map[string]refresher.Stored{
		"plain": {Token: refresher.Token{Value: secret.New("v"), Generation: 1, IssuedAt: at, ExpiresAt: at.Add(time.Hour)}},
		"full": {Rejected: true, Token: refresher.Token{
			Value: secret.New("v"), Generation: 1<<64 - 1, IssuedAt: at, ExpiresAt: at.Add(time.Hour), Lasting: true,
			Outputs: map[string]secret.String{"refresh_token": secret.New("r"), "": secret.New(""), "a": secret.New("\x00\xff")},
		}},
		"no times":         {Token: refresher.Token{Value: secret.New("v"), Generation: 2}},
		"before the epoch": {Token: refresher.Token{Value: secret.New("v"), Generation: 2, IssuedAt: time.UnixMilli(0), ExpiresAt: time.UnixMilli(-5)}},
		"any byte":         {Token: refresher.Token{Value: secret.New("\x00\n\xff\"'\\é"), Generation: 3}},
		"large":            {Token: refresher.Token{Value: secret.New(strings.Repeat("v", 1<<19)), Generation: 3}},
	}
}

func TestCodec(t *testing.T) {
	for name, s := range codecExamples() {
		t.Run(name, func(t *testing.T) {
			b, err := encode(s)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(b)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, got, s)
			for i := range b[:min(len(b), 1000)] {
				if _, err := decode(b[:i]); err == nil {
					t.Errorf("the first %d of %d bytes were read", i, len(b))
				}
			}
			if _, err := decode(append(slices.Clone(b), 0)); err == nil {
				t.Error("a byte more was read")
			}
		})
	}
}

func wantStored(t *testing.T, got, want refresher.Stored) {
	t.Helper()
	g, w := got.Token, want.Token
	same := got.Rejected == want.Rejected && g.Value.Equal(w.Value) && g.Generation == w.Generation &&
		g.IssuedAt.Equal(w.IssuedAt) && g.ExpiresAt.Equal(w.ExpiresAt) && g.Lasting == w.Lasting && len(g.Outputs) == len(w.Outputs)
	for name, value := range w.Outputs {
		same = same && g.Outputs[name].Equal(value)
	}
	if !same {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCodecRefuses(t *testing.T) {
	tests := map[string]string{
		"nothing":          "",
		"another version":  "\x02\x00\x01\x01v\x00",
		"unknown flags":    "\x01\x10\x01\x01v\x00",
		"no generation":    "\x01\x00\x00\x01v\x00",
		"a longer number":  "\x01\x00\x81\x00\x01v\x00",
		"the same output":  "\x01\x00\x01\x01v\x02\x01a\x00\x01a\x00",
		"outputs unsorted": "\x01\x00\x01\x01v\x02\x01b\x00\x01a\x00",
		"many outputs":     "\x01\x00\x01\x01v\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a long value":     "\x01\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01v",
	}
	for name, text := range tests {
		if _, err := decode([]byte(text)); !errors.Is(err, errToken) {
			t.Errorf("%s: error %v, want %v", name, err, errToken)
		}
	}
	if _, err := decode([]byte("\x01\x00\x01\x01v\x00")); err != nil {
		t.Errorf("the model of these: %v", err)
	}
	big := refresher.Stored{Token: refresher.Token{Value: secret.New(strings.Repeat("v", maxToken)), Generation: 1}}
	if _, err := encode(big); !errors.Is(err, errTooBig) {
		t.Errorf("error %v, want %v", err, errTooBig)
	}
}

// What can be read has one form: it is what would be written.
func FuzzDecode(f *testing.F) {
	for name, s := range codecExamples() {
		if b, err := encode(s); err == nil && name != "large" {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("read %x, which is written %x", b, again)
		}
	})
}
