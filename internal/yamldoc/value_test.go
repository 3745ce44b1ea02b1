package yamldoc

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"attache/internal/shape"
)

// at reads one value under the key a.
func at(read func(Value)) func(Value) {
	return func(root Value) { read(root.Object(keys("a")).Get("a")) }
}

func TestScalars(t *testing.T) {
	text := func(v Value) (any, bool) { return v.Text() }
	boolean := func(v Value) (any, bool) { return v.Bool() }
	whole := func(v Value) (any, bool) { return v.Int(-5, 5) }
	number := func(v Value) (any, bool) { return v.Float(0, 1) }
	duration := func(v Value) (any, bool) { return v.Duration(time.Second, 24*time.Hour) }
	size := func(v Value) (any, bool) { return v.Size(0, math.MaxInt64) }
	word := func(v Value) (any, bool) { return v.OneOf("auto", "http1") }
	tests := []struct {
		read func(Value) (any, bool)
		yaml string
		want any
		bad  string
	}{
		{text, `0123`, "0123", ""},
		{text, `1e3`, "1e3", ""},
		{text, `2020-01-01`, "2020-01-01", ""},
		{text, `""`, "", ""},
		{text, ``, nil, "want a text, got nothing"},
		{text, `[x]`, nil, "want a text, got a list"},
		{text, `{x: y}`, nil, "want a text, got a map"},
		{boolean, `true`, true, ""},
		{boolean, `False`, false, ""},
		{boolean, `yes`, nil, `want true or false, got "yes"`},
		{boolean, `"true"`, nil, `want true or false, got "true"`},
		{boolean, `averylongsecretvalue`, nil, `want true or false, got a text`},
		{whole, `-5`, int64(-5), ""},
		{whole, `"3"`, int64(3), ""},
		{whole, `6`, nil, "6 is out of range: want -5 to 5"},
		{whole, `99999999999999999999`, nil, "the number is out of range: want -5 to 5"},
		{whole, `0x1`, nil, `want a whole number, got "0x1"`},
		{whole, `1.5`, nil, `want a whole number, got "1.5"`},
		{whole, `[1]`, nil, `want a whole number, got a list`},
		{whole, `~`, nil, `want a whole number, got nothing`},
		{number, `0.8`, 0.8, ""},
		{number, `1.5`, nil, "1.5 is out of range: want 0 to 1"},
		{number, `.nan`, nil, `want a number, got ".nan"`},
		{number, `nan`, nil, `want a number, got "nan"`},
		{number, `inf`, nil, `+Inf is out of range: want 0 to 1`},
		{number, `{}`, nil, `want a number, got a map`},
		{duration, `1h30m`, 90 * time.Minute, ""},
		{duration, `24h`, 24 * time.Hour, ""},
		{duration, `30`, nil, `want a duration such as 30s, 5m or 1h30m, got "30"`},
		{duration, `0`, nil, `0s is out of range: want 1s to 24h`},
		{duration, `25h`, nil, `25h is out of range: want 1s to 24h`},
		{duration, `[1s]`, nil, `want a duration such as 30s, 5m or 1h30m, got a list`},
		{size, `64KiB`, int64(65536), ""},
		{size, `7`, int64(7), ""},
		{size, `64KB`, nil, `want a size such as 64KiB or 1MiB, got "64KB"`},
		{size, `-1`, nil, `want a size such as 64KiB or 1MiB, got "-1"`},
		{size, `999999999999GiB`, nil, `999999999999GiB is out of range: want 0B to 9223372036854775807B`},
		{func(v Value) (any, bool) { return v.Size(1<<10, 64<<20) }, `7`, nil, `7 is out of range: want 1KiB to 64MiB`},
		{word, `http1`, "http1", ""},
		{word, `htpt1`, nil, `"htpt1" is not one of auto, http1; did you mean "http1"?`},
		{word, `a-very-long-text-that-is-a-secret`, nil, `the text is not one of auto, http1`},
	}
	for _, tc := range tests {
		t.Run(tc.yaml, func(t *testing.T) {
			var got any
			var ok bool
			problems := report("a: "+tc.yaml+"\n", at(func(v Value) { got, ok = tc.read(v) }))
			if tc.bad != "" {
				want := "f.yaml:1:4: a: " + tc.bad
				if tc.yaml == "" {
					want = "f.yaml:1:3: a: " + tc.bad
				}
				if problems != want || ok {
					t.Errorf("\n got %s, %v\nwant %s", problems, ok, want)
				}
				return
			}
			if problems != "" || !ok || got != tc.want {
				t.Errorf("got %v, %v, %s; want %v", got, ok, problems, tc.want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	for yaml, want := range map[string]string{
		`x`: "a text string", `"1"`: "a text string", `1`: "a number number", `1.5`: "a number number", `true`: "a boolean bool",
		`2020-01-01`: "a text string", `~`: "nothing null", `{}`: "a map map", `[]`: "a list list", `""`: "a text string",
	} {
		report("a: "+yaml, at(func(v Value) {
			got := v.Kind()
			for name, is := range map[string]bool{" string": v.IsString(), " number": v.IsNumber(), " bool": v.IsBool(),
				" null": v.IsNull(), " map": v.IsMap(), " list": v.IsList()} {
				if is {
					got += name
				}
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", yaml, got, want)
			}
			if v.IsScalar() != (v.IsString() || v.IsNumber() || v.IsBool()) {
				t.Errorf("%s: IsScalar is %v", yaml, v.IsScalar())
			}
		}))
	}
}

func TestZeroValueIsSilent(t *testing.T) {
	var v Value
	v.Errorf("nobody hears this")
	_, a := v.Text()
	_, b := v.Bool()
	_, c := v.Int(1, 2)
	_, d := v.Float(1, 2)
	_, e := v.Duration(1, 2)
	_, f := v.Size(1, 2)
	_, g := v.OneOf("x")
	if a || b || c || d || e || f || g {
		t.Error("something is there")
	}
	if v.List(true) != nil || v.Entries() != nil || v.Object(keys("x")).Has("x") || !v.Object(keys("x")).Require("x").IsZero() {
		t.Error("a container is there")
	}
	if line, col := v.Pos(); line != 0 || col != 0 || !v.IsZero() || v.Kind() != "nothing" {
		t.Error("a place is there")
	}
}

func TestContainers(t *testing.T) {
	const doc = `known: 1
knwon: 2
"two words": 3
? [a]
: 4
~: 5
known: 6
list: [x, {y: z}]
single: x
nothing:
"odd\nf.yaml:1:1: forged": 7
`
	got := report(doc, func(root Value) {
		o := root.Object(keys("known", "list", "single", "nothing", "absent"))
		for _, item := range o.Get("list").List(false) {
			item.Int(0, 1)
		}
		o.Get("single").List(false)
		if n := len(o.Get("single").List(true)); n != 1 {
			t.Errorf("a lenient list has %d items", n)
		}
		o.Get("nothing").List(true)
		o.Get("single").Entries()
		o.Require("absent")
		o.Require("known")
		o.Self().At("elsewhere").Errorf("moved")
		o.Self().At("elsewhere").Errorf("moved")
	})
	want := strings.Join([]string{
		"f.yaml:1:1: absent is missing",
		"f.yaml:1:1: elsewhere: moved",
		`f.yaml:2:1: knwon: unknown key; did you mean "known"?`,
		`f.yaml:3:1: "two words": unknown key; known here: known, list, single, nothing, absent`,
		"f.yaml:4:3: a key must be a text",
		"f.yaml:6:1: a key must be a text",
		"f.yaml:7:1: known: stands twice; the first is in line 1",
		`f.yaml:8:8: list[0]: want a whole number, got "x"`,
		`f.yaml:8:11: list[1]: want a whole number, got a map`,
		"f.yaml:9:9: single: want a list, got a text",
		"f.yaml:9:9: single: want a map, got a text",
		"f.yaml:10:9: nothing: want a list, got nothing",
		`f.yaml:11:1: "odd\nf.yaml…": unknown key; known here: known, list, single, nothing, absent`,
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReport(t *testing.T) {
	rep := &Report{}
	if rep.Failed() || rep.Err() != nil || rep.Len() != 0 {
		t.Error("an empty report has problems")
	}
	if got, want := (Problem{File: "f", Text: "a\nb\u2028\x1b ü → “…”"}).String(), `f: a\nb\u2028\x1b ü → “…”`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, p := range []Problem{{File: "b", Text: "4"}, {File: "a", Line: 2, Col: 3, Text: "3"}, {File: "a", Line: 2, Col: 1, Path: "x", Text: "2"},
		{File: "a", Text: "1"}, {File: "b", Text: "4"}} {
		rep.Add(p)
	}
	problems, ok := errors.AsType[Problems](rep.Err())
	if !ok || len(problems) != 4 || rep.Len() != 4 || !rep.Failed() {
		t.Fatalf("got %v", rep.Err())
	}
	if got, want := problems.Error(), "a: 1\na:2:1: x: 2\na:2:3: 3\nb: 4"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"header", "query", "app_key", "at", "x", "wechatoa", "wechatmp", "qiniu-im", "qiniu-im"}
	for text, want := range map[string]string{
		"heder": "header", "haeder": "header", "Header": "header", "query_": "query", "appkey": "app_key", "app-key": "app_key", "wechatma": "wechatoa",
		"qiniu": "qiniu-im", "QIN": "qiniu-im", "qi": "", "wec": "", "qiniu-im2x": "qiniu-im",
		"body": "", "": "", "header": "", "y": "", "a": "at", "by": "", strings.Repeat("q", 100): "",
	} {
		hint := ""
		if want != "" {
			hint = fmt.Sprintf("; did you mean %q?", want)
		}
		if got := DidYouMean(text, words); got != hint {
			t.Errorf("%q: got %q, want %q", text, got, hint)
		}
	}
}

// FuzzParse reads every part of arbitrary documents by every method: nothing
// panics, and every problem has a place and is one line.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: [1, {b: c}]\n---\n", "a: &x b\nc: *x", "? {a: b}\n: c", "\"\\u2028\": 1", "a: !!binary x", "\t", "- - - a\n", "<<: 1", "%YAML 1.1\n---\na: 1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rep := &Report{}
		root, ok := Parse(rep, "f.yaml", data)
		if ok == rep.Failed() {
			t.Fatalf("ok is %v with problems %v", ok, rep.Err())
		}
		readAll(root, 0)
		problems, _ := errors.AsType[Problems](rep.Err())
		for _, p := range problems {
			if text := p.String(); strings.ContainsAny(text, "\n\r") || p.Line < 1 || p.Col < 1 {
				t.Fatalf("problem %q", text)
			}
		}
	})
}

func readAll(v Value, depth int) {
	v.Text()
	v.Bool()
	v.Int(0, 10)
	v.Float(0, 1)
	v.Duration(0, time.Hour)
	v.Size(0, 1<<20)
	v.OneOf("one", "two")
	if depth > 50 {
		return
	}
	v.Object(keys("one", "two")).Require("one")
	for _, e := range v.Entries() {
		readAll(e.Value, depth+1)
	}
	for _, item := range v.List(false) {
		readAll(item, depth+1)
	}
}

// What is told of a file is bounded, whatever stands in it; what counts mistakes
// is not.
func TestManyProblems(t *testing.T) {
	rep := &Report{}
	text := strings.Builder{}
	for i := range 5000 {
		fmt.Fprintf(&text, "k%d: 1\n", i)
	}
	root, ok := Parse(rep, "f.yaml", []byte(text.String()))
	if !ok {
		t.Fatal(rep.Err())
	}
	root.Object(keys("known"))
	lines := strings.Split(rep.Err().Error(), "\n")
	if len(lines) != maxProblems+1 || lines[maxProblems] != "f.yaml:200:1: there are 4800 more mistakes" {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
	if !strings.HasPrefix(lines[0], "f.yaml:1:1: ") || rep.Len() != 5000 {
		t.Errorf("%d problems, the first is %q", rep.Len(), lines[0])
	}
}

// keys is a shape with keys of those names, which take any text.
func keys(names ...string) shape.Object {
	o := shape.Object{Name: "test"}
	for _, name := range names {
		o.Keys = append(o.Keys, shape.Key{Name: name})
	}
	return o
}

// A parser that reads what its shape does not have is found by whatever test
// reads such a map, even an empty one.
func TestShapesAndParsersAgree(t *testing.T) {
	o := Value{}.Object(shape.Object{Name: "test", Keys: []shape.Key{
		{Name: "text", Type: shape.Text("text")}, {Name: "n", Type: shape.Int(1, 10)},
	}})
	o.Get("text")
	o.Int("n")
	for name, read := range map[string]func(){
		"unknown":  func() { o.Get("nonsense") },
		"has":      func() { o.Has("nonsense") },
		"require":  func() { o.Require("nonsense") },
		"int":      func() { o.Int("text") },
		"float":    func() { o.Float("n") },
		"duration": func() { o.Duration("n") },
		"size":     func() { o.Size("n") },
		"word":     func() { o.OneOf("n") },
		"bool":     func() { o.Bool("n") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("nobody notices that the shape says something else")
				}
			}()
			read()
		})
	}
}
