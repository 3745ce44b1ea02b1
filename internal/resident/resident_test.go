package resident

import (
	"slices"
	"strings"
	"testing"
)

// What may be given back: ranges of the program's file that nobody wrote to.
func TestRegionsAreUnchangedPartsOfTheProgram(t *testing.T) {
	const smaps = `00400000-00401000 r-xp 00000000 fe:00 12 /opt/my app/attache
Size:                  4 kB
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00401000-00403000 r--p 00001000 fe:00 12 /opt/my app/attache
Anonymous:             0 kB
00403000-00405000 r-xp 00001000 fe:00 12 /opt/my app/attache
Rss:                   8 kB
Anonymous:             4 kB
00405000-00406000 rw-p 00003000 fe:00 12 /opt/my app/attache
Anonymous:             0 kB
00406000-00407000 r--s 00003000 fe:00 12 /opt/my app/attache
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 13 /etc/ssl/certs/ca-certificates.crt
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0
Anonymous:             0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
wrong-range r-xp 00000000 fe:00 12 /opt/my app/attache
Anonymous:             0 kB
2000-1000 r-xp 00000000 fe:00 12 /opt/my app/attache
Anonymous:             0 kB
`
	want := []region{{0x400000, 0x1000}, {0x401000, 0x2000}}
	if got := regions(strings.NewReader(smaps), "/opt/my app/attache"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	for _, text := range []string{"", "\n", "x", "Anonymous: 0 kB\n", "00400000-00401000 r-xp\nAnonymous: 0 kB\n"} {
		if got := regions(strings.NewReader(text), "/attache"); len(got) > 0 {
			t.Errorf("%q: %x, want none", text, got)
		}
	}
}
