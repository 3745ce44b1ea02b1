package http1

import "testing"

// TestIsText looks at every byte at every place of a text that is read eight bytes at
// a time.
func TestIsText(t *testing.T) {
	for at := range 20 {
		for c := range 256 {
			for _, around := range []byte{' ', 'a', 0x80, 0xff, '~', '\t'} {
				p := make([]byte, 20)
				for i := range p {
					p[i] = around
				}
				p[at] = byte(c)
				if want := c >= ' ' && c != 0x7f || c == '\t'; isText(string(p)) != want {
					t.Fatalf("byte %#x at %d among %#x: %v, want %v", c, at, around, !want, want)
				}
			}
		}
	}
}

func TestIsWord(t *testing.T) {
	for text, want := range map[string]bool{
		"chunked": true, "Chunked": true, "CHUNKED": true,
		"": false, "chunke": false, "chunkedx": false, "chun\u212aed": false, "chun\u212ae": false, "\x63hunked ": false, "CHUN\x0bED": false,
	} {
		if isWord(text, "chunked") != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
