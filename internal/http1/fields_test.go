package http1

import (
	"fmt"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
)

// TestFields: asked by name they say what a header of net/http says.
func TestFields(t *testing.T) {
	const text = "A: 1\r\nB: 2\r\nA: 3\r\na: 4\r\nC-d: \r\nb: 5\r\n"
	var f Fields
	for range 2 { // as good the second time
		f.Clear()
		if f.Len() != 0 || f.Get("A") != "" || f.Values("A") != nil {
			t.Error("it is not empty")
		}
		if err := f.parse(text); err != nil {
			t.Fatal(err)
		}
		want := http.Header{"A": {"1", "3", "4"}, "B": {"2", "5"}, "C-D": {""}}
		if !reflect.DeepEqual(f.Header(), want) {
			t.Errorf("%v", f.Header())
		}
		for name := range want {
			if got := f.Values(name); !reflect.DeepEqual(got, want[name]) || f.Get(name) != want.Get(name) {
				t.Errorf("%s: %q, %q", name, got, f.Get(name))
			}
		}
		if f.Values("a") != nil || f.Get("None") != "" {
			t.Error("names that are not canonical, or not there, have values")
		}
		if name, value := f.At(3); f.Len() != 6 || name != "A" || value != "4" {
			t.Errorf("%d, %s: %s", f.Len(), name, value)
		}
	}
}

// TestFieldsShareNothing: whoever appends to values or to a header changes no other.
func TestFieldsShareNothing(t *testing.T) {
	var f Fields
	if err := f.parse("A: 1\r\nA: 2\r\nB: 3\r\nA: 4\r\nC: 5\r\n"); err != nil {
		t.Fatal(err)
	}
	h := f.Header()
	_ = append(f.Values("A"), "x")
	_ = append(f.Values("B"), "x")
	h["B"] = append(h["B"], "x")
	h["B"][0] = "y"
	if got := f.Header(); !reflect.DeepEqual(got, http.Header{"A": {"1", "2", "4"}, "B": {"3"}, "C": {"5"}}) {
		t.Error(got)
	}
	if !reflect.DeepEqual(h["C"], []string{"5"}) {
		t.Error(h)
	}
}

// TestFieldsAreBounded: each costs more than its bytes.
func TestFieldsAreBounded(t *testing.T) {
	var f Fields
	if err := f.parse(strings.Repeat("A: b\r\n", maxFields)); err != nil {
		t.Error(err)
	}
	f.Clear()
	if f.parse(strings.Repeat("A: b\r\n", maxFields+1)) == nil {
		t.Error("there is no bound")
	}
}

// TestFieldsAllocateNothing: of a head that comes after another.
func TestFieldsAllocateNothing(t *testing.T) {
	text := "Host: a\r\nAccept: */*\r\nUser-Agent: x\r\nContent-Type: text/plain\r\n"
	var f Fields
	if n := testing.AllocsPerRun(100, func() {
		f.Clear()
		if f.parse(text) != nil || f.Get("Accept") == "" || f.Values("Host") == nil {
			t.Error("it is not read")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// plainFields is the parser in plain words.
func plainFields(text string) (http.Header, error) {
	header := http.Header{}
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || name == "" || strings.ContainsFunc(name, func(c rune) bool {
			return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", c)
		}) {
			return nil, fmt.Errorf("name %q", name)
		}
		for i := range len(value) {
			if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
				return nil, fmt.Errorf("value %q", value)
			}
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		header[key] = append(header[key], value)
	}
	return header, nil
}

// FuzzFields: both parsers of fields read what the plain one reads.
func FuzzFields(f *testing.F) {
	for _, text := range []string{"A: b", "a-b-: c \t\r\nA:\r\nx!#$%&'*+-.^_`|~09: y", "A : b", " A: b", ": b", "A\r\nB: c", "A: b\r\n c", "A: \x00", "A: b\rc", "é: a", "A: é", "aB-Cd-EF: 1\r\nContent-length: 2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text = strings.ReplaceAll(text, "\n", "\r\n"); text != "" && !strings.HasSuffix(text, "\r\n") {
			text += "\r\n"
		}
		text = strings.ReplaceAll(text, "\r\r\n", "\r\n")
		if strings.HasPrefix(text, "\r\n") || strings.Contains(text, "\r\n\r\n") {
			return // that ends a head
		}
		want, failed := plainFields(text)
		got, err := parseFields(text)
		if (err == nil) != (failed == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q, %v\nplainly: %q, %v", got, err, want, failed)
		}
		var fields Fields
		err = fields.parse(text)
		if (err == nil) != (failed == nil) || err == nil && !reflect.DeepEqual(fields.Header(), want) {
			t.Errorf("fields: %q, %v\nplainly: %q, %v", fields.Header(), err, want, failed)
		}
	})
}
