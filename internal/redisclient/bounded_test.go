package redisclient

import (
	"strings"
	"testing"
)

func TestBounds(t *testing.T) {
	tests := []struct {
		name, text string
		want       bool
	}{
		{"all kinds", "+OK\r\n-ERR x\r\n:12\r\n$3\r\nabc\r\n$-1\r\n*2\r\n:1\r\n$0\r\n\r\n*-1\r\n*0\r\n", true},
		{"lists as texts", "$12\r\n*999999999\r\n\r\n+OK\r\n", true},
		{"many lists", strings.Repeat("*1\r\n:1\r\n", 1000), true},
		{"text", "$4194305\r\n", false},
		{"text after text", "$1\r\nx\r\n$4194305\r\n", false},
		{"text of less than nothing", "$-2\r\n", false},
		{"list of less than nothing", "*-2\r\n", false},
		{"verbatim text", "=4194305\r\n", false},
		{"list", "*262145\r\n", false},
		{"map", "%262145\r\n", false},
		{"push", ">262145\r\n", false},
		{"no number", "$x\r\n", false},
		{"beyond numbers", "$99999999999999999999\r\n", false},
		{"deep", strings.Repeat("*1\r\n", maxDepth+1), false},
		{"line", "+" + strings.Repeat("x", maxLine), false},
	}
	for _, test := range tests {
		for _, step := range []int{1, 2, 3, 1 << 20} { // however it is cut
			c, ok := &boundedConn{}, true
			for rest := test.text; rest != "" && ok; {
				n := min(step, len(rest))
				ok, rest = c.scan([]byte(rest[:n])), rest[n:]
			}
			if ok != test.want {
				t.Errorf("%s, in steps of %d: %v, want %v", test.name, step, ok, test.want)
			}
		}
	}
}
