package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const (
		good = `{"Action":"start","Package":"a/good"}
{"Action":"run","Package":"a/good","Test":"TestX"}
{"Action":"output","Package":"a/good","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"a/good","Test":"TestX","Output":"    x_test.go:1: chatter\n"}
{"Action":"pass","Package":"a/good","Test":"TestX","Elapsed":0}
{"Action":"output","Package":"a/good","Output":"ok  \ta/good\n"}
{"Action":"pass","Package":"a/good","Elapsed":1.5}
`
		empty = `{"Action":"start","Package":"a/empty"}
{"Action":"output","Package":"a/empty","Output":"?   \ta/empty\t[no test files]\n"}
{"Action":"skip","Package":"a/empty","Elapsed":0}
`
		bad = `{"Action":"start","Package":"a/bad"}
{"Action":"output","Package":"a/bad","Test":"TestFine","Output":"fine chatter\n"}
{"Action":"pass","Package":"a/bad","Test":"TestFine"}
{"Action":"output","Package":"a/bad","Test":"TestY","Output":"    y_test.go:2: y is wrong\n"}
{"Action":"fail","Package":"a/bad","Test":"TestY"}
{"Action":"output","Package":"a/bad","Output":"FAIL\ta/bad\n"}
{"Action":"fail","Package":"a/bad","Elapsed":0.1}
`
		panics = `{"Action":"start","Package":"a/panics"}
{"Action":"output","Package":"a/panics","Test":"TestP","Output":"panic: oh no\n"}
{"Action":"fail","Package":"a/panics","Elapsed":0.1}
`
		build = `{"ImportPath":"a/broken [a/broken.test]","Action":"build-output","Output":"x.go:1:1: undefined: y\n"}
{"ImportPath":"a/broken [a/broken.test]","Action":"build-fail"}
{"Action":"start","Package":"a/broken"}
{"Action":"output","Package":"a/broken","Output":"FAIL\ta/broken [build failed]\n"}
{"Action":"fail","Package":"a/broken","Elapsed":0,"FailedBuild":"a/broken [a/broken.test]"}
`
		tool = `{"Action":"start","Package":"a/tool"}
{"Action":"output","Package":"a/tool","Test":"TestT","Output":"=== RUN   TestT\n"}
{"Action":"output","Package":"a/tool","Test":"TestT","Output":"    t_test.go:3: missing tool: promtool (package prometheus)\n"}
{"Action":"output","Package":"a/tool","Test":"TestT","Output":"--- SKIP: TestT (0.00s)\n"}
{"Action":"skip","Package":"a/tool","Test":"TestT"}
{"Action":"pass","Package":"a/tool","Elapsed":0.1}
`
		choice = `{"Action":"start","Package":"a/choice"}
{"Action":"output","Package":"a/choice","Test":"TestC","Output":"    c_test.go:3: only on Linux\n"}
{"Action":"skip","Package":"a/choice","Test":"TestC"}
{"Action":"pass","Package":"a/choice","Elapsed":0.1}
`
		cut = `{"Action":"start","Package":"a/cut"}
{"Action":"output","Package":"a/cut","Test":"TestCut","Output":"half a test\n"}
`
	)
	tests := []struct {
		name, in string
		strict   bool
		ok       bool
		want     []string
		not      []string
	}{
		{name: "passes", in: good + empty, strict: true, ok: true,
			want: []string{"ok    a/good", "tests: 1 passed, 0 failed, 0 skipped"}, not: []string{"chatter", "a/empty"}},
		{name: "a failure", in: good + bad, want: []string{"y is wrong", "FAIL  a/bad", "1 failed, 0 skipped"}, not: []string{"chatter"}},
		{name: "a panic", in: panics, want: []string{"panic: oh no", "FAIL  a/panics"}},
		{name: "a build failure", in: build, want: []string{"x.go:1:1: undefined: y", "FAIL  a/broken"}},
		{name: "a missing tool", in: tool, ok: true, want: []string{"SKIPPED: a/tool TestT (missing tool: promtool (package prometheus))"}},
		{name: "a missing tool in CI", in: tool, strict: true, want: []string{"SKIPPED: a/tool TestT", "install it"}},
		{name: "another skip in CI", in: choice, strict: true, ok: true, want: []string{"SKIPPED: a/choice TestC (only on Linux)"}},
		{name: "cut off", in: good + cut, want: []string{"FAIL  a/cut did not end"}},
		{name: "not JSON", in: "go: cannot find main module\n" + good, ok: true, want: []string{"go: cannot find main module"}},
		{name: "no newline at the end", in: strings.TrimSuffix(good, "\n"), ok: true, want: []string{"ok    a/good"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := report(strings.NewReader(tt.in), &out, tt.strict)
			if err != nil {
				t.Fatal(err)
			}
			if ok != tt.ok {
				t.Errorf("ok = %v, want %v", ok, tt.ok)
			}
			for _, w := range tt.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("%q is missing", w)
				}
			}
			for _, n := range tt.not {
				if strings.Contains(out.String(), n) {
					t.Errorf("%q should not be shown", n)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}
