package store

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"attache/internal/secret"
	"attache/refresher"
)

// testKeys returns keys of texts that begin so.
func testKeys(t testing.TB, begins ...string) *Keys {
	t.Helper()
	var texts []secret.String
	for _, b := range begins {
		texts = append(texts, secret.New(b+strings.Repeat("x", minKey)))
	}
	keys, err := NewKeys(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestNewKeys(t *testing.T) {
	long := strings.Repeat("k", 32)
	tests := []struct {
		name  string
		texts []string
		want  string // part of the error; empty: none
	}{
		{"one", []string{long}, ""},
		{"two", []string{long, long + "!"}, ""},
		{"any characters", []string{strings.Repeat("é", 16)}, ""},
		{"none", nil, "needs a key"},
		{"short", []string{long[1:]}, "can be guessed"},
		{"the second short", []string{long, "x"}, "can be guessed"},
		{"the same", []string{long, long}, "the same"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var texts []secret.String
			for _, text := range test.texts {
				texts = append(texts, secret.New(text))
			}
			_, err := NewKeys(texts...)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), long[1:]):
				t.Errorf("the error %q shows a key", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	keys, turned := testKeys(t, "new", "old"), testKeys(t, "old", "new")
	key := refresher.StoreKey{1, 2, 3}
	names := keys.Names("n", key)
	if len(names) != 2 || names[0] == names[1] {
		t.Fatalf("names %x, want two that differ", names)
	}
	slices.Reverse(names)
	if got := turned.Names("n", key); !slices.Equal(got, names) {
		t.Errorf("with the keys turned round: names %x, want %x", got, names)
	}
	seen := map[Name]bool{}
	for _, namespace := range []string{"", "n", "N", "n\x01"} {
		for _, key := range []refresher.StoreKey{{}, {1}, {1, 2, 3}} {
			seen[keys.Names(namespace, key)[0]] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d names of 12 tokens", len(seen))
	}
	if bytes.Contains(names[0][:], key[:8]) {
		t.Error("a name shows the key of the engine")
	}
}

func TestSealAndOpen(t *testing.T) {
	old, rotating, next := testKeys(t, "old"), testKeys(t, "new", "old"), testKeys(t, "new")
	name := Name{7}
	sealed := old.Seal(name, []byte("5"), []byte("the value"))
	if bytes.Contains(sealed, []byte("value")) {
		t.Error("the sealed value is in the clear")
	}
	if len(sealed) != len("the value")+sealOverhead {
		t.Errorf("the sealed value has %d bytes, want %d", len(sealed), len("the value")+sealOverhead)
	}
	if again := old.Seal(name, []byte("5"), []byte("the value")); bytes.Equal(again, sealed) {
		t.Error("sealing twice gives the same bytes: the nonce is not random")
	}
	tests := []struct {
		name    string
		keys    *Keys
		at      Name
		outside string
		want    error
	}{
		{"the same", old, name, "5", nil},
		{"while keys change", rotating, name, "5", nil},
		{"after keys changed", next, name, "5", ErrOtherKey},
		{"another name", old, Name{8}, "5", ErrDamaged},
		{"another outside", old, name, "6", ErrDamaged},
		{"no outside", old, name, "", ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			value, err := test.keys.Open(test.at, []byte(test.outside), sealed)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if err == nil && string(value) != "the value" {
				t.Errorf("value %q", value)
			}
		})
	}
	if _, err := old.Open(name, nil, rotating.Seal(name, nil, nil)); !errors.Is(err, ErrOtherKey) {
		t.Errorf("the second key sealed: %v", err)
	}
}

// Whatever byte is changed, added or missing: nothing is opened.
func TestTampering(t *testing.T) {
	keys, name := testKeys(t, "a", "b"), Name{7}
	sealed := keys.Seal(name, nil, []byte("value"))
	for i := range sealed {
		changed := slices.Clone(sealed)
		changed[i] ^= 1
		if _, err := keys.Open(name, nil, changed); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
		if _, err := keys.Open(name, nil, sealed[:i]); err == nil {
			t.Errorf("opened the first %d bytes", i)
		}
	}
	if _, err := keys.Open(name, nil, append(slices.Clone(sealed), 0)); err == nil {
		t.Error("opened with a byte added")
	}
}
