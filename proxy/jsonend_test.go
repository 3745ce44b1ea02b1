package proxy

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONEnd(t *testing.T) {
	for _, tc := range []struct {
		in    string
		state jsonState
		value string
	}{
		{"", jsonBefore, ""},
		{" \r\n\t", jsonBefore, ""},
		{`{}`, jsonEnded, `{}`},
		{"\xef\xbb\xbf {\"a\":1} tail", jsonEnded, `{"a":1}`},
		{` [1,[2,{"]":"}\""}]] {}`, jsonEnded, `[1,[2,{"]":"}\""}]]`},
		{`{"a":"\\"}x`, jsonEnded, `{"a":"\\"}`},
		{`{"a":`, jsonInside, ""},
		{`"text"`, jsonNone, ""},
		{`<html>`, jsonNone, ""},
		{"\xef\xbbx", jsonNone, ""},
		{"12", jsonNone, ""},
		{`{"a long text with a \\ and a \" and \u005b":[1234567890,{"x":[12345678,true,"}"]},-1.5e+300 ]}]`, jsonEnded, `{"a long text with a \\ and a \" and \u005b":[1234567890,{"x":[12345678,true,"}"]},-1.5e+300 ]}`},
		{"[\xa2\xdb\xdd\xfb\xfd\x02\x1b\x1d\x3b\x3d, \"\xa2\xdc\" ]", jsonEnded, "[\xa2\xdb\xdd\xfb\xfd\x02\x1b\x1d\x3b\x3d, \"\xa2\xdc\" ]"},
	} {
		for _, size := range []int{1, 2, 7, 8, 9, 1000} {
			var j jsonEnd
			var state jsonState
			var from, to int
			for rest := []byte(tc.in); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				state, from, to = j.scan(rest[:min(size, len(rest))])
			}
			if state != tc.state {
				t.Errorf("%q in pieces of %d: state %d, want %d", tc.in, size, state, tc.state)
			}
			if state == jsonEnded && tc.in[from:to] != tc.value {
				t.Errorf("%q in pieces of %d: value %q, want %q", tc.in, size, tc.in[from:to], tc.value)
			}
		}
	}
}

// FuzzJSONEndInPieces: pieces of any size, valid or not, come to the same as
// single bytes, which leave nothing to look at together.
func FuzzJSONEndInPieces(f *testing.F) {
	f.Add([]byte(`{"a":[1,"}"],"b\\\"":1234567890}  x`), 3)
	f.Add([]byte("\xef\xbb\xbf[\xa2\xdb\x02,\"\x7b\xdc\"]"), 9)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		size = max(1, size)
		var one, many jsonEnd
		for i := range in {
			one.scan(in[i : i+1])
		}
		for rest := in; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			many.scan(rest[:min(size, len(rest))])
		}
		if one != many {
			t.Errorf("%q in pieces of %d: %+v, want %+v", in, size, many, one)
		}
	})
}

// FuzzJSONEnd: where encoding/json finds a first object or array, it ends at the
// same place.
func FuzzJSONEnd(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"}"]} x`, ` [] []`, `{"\"":"\\"}`} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		d := json.NewDecoder(bytes.NewReader(in))
		var value json.RawMessage
		if d.Decode(&value) != nil || value[0] != '{' && value[0] != '[' {
			return
		}
		cut = min(max(cut, 0), len(in))
		var j jsonEnd
		j.scan(in[:cut])
		state, from, to := j.scan(in[cut:])
		if state != jsonEnded || !bytes.Equal(in[from:to], value) {
			t.Errorf("%q: state %d, value %q, want %q", in, state, in[from:to], value)
		}
	})
}

func BenchmarkJSONEnd(b *testing.B) {
	for _, tt := range []struct{ name, item string }{
		{"records", `{"userID":"user0001","nickname":"Anna \"the\" 1","faceURL":"https://example.com/faces/1.png","createTime":1700000000000,"rate":1.5e-3,"admin":false,"ex":null}`},
		{"numbers", `[1,2,3,4.25,1700000000000,17,-1,0,99,1234]`},
		{"text", `"` + strings.Repeat("Lorem ipsum dolor sit amet, ", 5) + `"`},
	} {
		text := []byte("[" + strings.TrimSuffix(strings.Repeat(tt.item+",", 1+1000/len(tt.item)), ",") + "]")
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var j jsonEnd
				if state, _, to := j.scan(text); state != jsonEnded || to != len(text) {
					b.Fatal(state, to)
				}
			}
		})
	}
}
