package interop

import (
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const (
	largeSize = 1 << 30
	// largeMemory bounds what attache may ever have had in memory.
	largeMemory = 64 << 20
)

// TestLargeBodies sends 1 GiB each way, with and without its length, over HTTP/1.1
// and HTTP/2. Every byte arrives, and attache keeps only a little of it at a
// time.
func TestLargeBodies(t *testing.T) {
	inLanes(t, func(t *testing.T, l lane) { testLargeBodies(t, l, "http1", "HTTP/1.1") })
	testLargeBodies(t, "", "h2c", "HTTP/2")
}

func testLargeBodies(t *testing.T, l lane, protocol, called string) {
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(serveLarge))
	upstream.Config.Protocols = cleartext(true, true)
	upstream.Start()
	defer upstream.Close()
	tokens := newTokenServer(t)
	a := l.start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
log: {requests: none}
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: %q, protocol: %s, use: [c]}
`, tokens.recipe(t, `
inject:
  - {header: Authorization, value: "Bearer ${access}"}
refused:
  - {token: access, status: 401}
  - {token: access, json: {code: "7"}}
`), upstream.URL, protocol))
	client := &http.Client{Transport: &http.Transport{Protocols: cleartext(protocol == "http1", protocol == "h2c"), DisableCompression: true}}
	defer client.CloseIdleConnections()
	for _, length := range []int64{largeSize, -1} {
		name := fmt.Sprintf("%s, length %d", protocol, length)
		address := "http://" + a.address + "/" + protocol
		t.Run("upload over "+name, func(t *testing.T) { uploadLarge(t, client, address, length) })
		t.Run("download over "+name, func(t *testing.T) { downloadLarge(t, client, address, length) })
	}
	peak := a.status(t, "VmHWM")
	measured(t, l.figure("peak memory while 1 GiB bodies pass over "+called+" (VmHWM)"), fmt.Sprintf("%.0f MiB", float64(peak)/(1<<20)))
	if peak > largeMemory {
		t.Errorf("attache had up to %d MiB in memory, which is more than %d", peak>>20, largeMemory>>20)
	}
	if !t.Failed() {
		record(t, suite{name: "1 GiB bodies over " + called + ", within 64 MiB of memory", lane: l, tests: 4, passed: 4})
	}
}

func cleartext(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

// serveLarge answers a GET with largeSize bytes, with their length if the query
// says so, and anything else with the digest of its body.
func serveLarge(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer token-1" {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", fmt.Sprint(largeSize))
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		io.Copy(w, newPattern())
		return
	}
	text, err := digest(r.Body)
	fmt.Fprintf(w, "%s, %d, %v, HTTP/%d", text, r.ContentLength, err, r.ProtoMajor)
}

func uploadLarge(t *testing.T, client *http.Client, address string, length int64) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, newPattern())
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = length
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := digestOfPattern()
	if want = fmt.Sprintf("%s, %d, %v, HTTP/%d", want, length, nil, answer.ProtoMajor); string(got) != want {
		t.Errorf("the upstream got %s, want %s", got, want)
	}
}

func downloadLarge(t *testing.T, client *http.Client, address string, length int64) {
	if length > 0 {
		address += "?length"
	}
	answer, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := digest(answer.Body)
	if want, _ := digestOfPattern(); got != want || err != nil || answer.ContentLength != length {
		t.Errorf("the client got %s with the length %d and %v, want %s with %d", got, answer.ContentLength, err, want, length)
	}
	if want := strings.HasSuffix(strings.SplitN(address, "?", 2)[0], "/h2c"); want != (answer.ProtoMajor == 2) {
		t.Errorf("the answer is HTTP/%d", answer.ProtoMajor)
	}
}

// pattern is largeSize bytes in which each eight are another number, so that
// nothing can be lost, doubled or swapped unseen.
type pattern struct{ off uint64 }

func newPattern() io.Reader { return io.LimitReader(&pattern{}, largeSize) }

func (p *pattern) Read(buf []byte) (int, error) {
	n := 0
	for ; p.off%8 != 0 && n < len(buf); n++ {
		buf[n] = byte(number(p.off) >> (p.off % 8 * 8))
		p.off++
	}
	for ; n+8 <= len(buf); n += 8 {
		for i, v := 0, number(p.off); i < 8; i++ {
			buf[n+i] = byte(v >> (8 * i))
		}
		p.off += 8
	}
	for ; n < len(buf); n++ {
		buf[n] = byte(number(p.off) >> (p.off % 8 * 8))
		p.off++
	}
	return n, nil
}

// number is another one for every eight bytes.
func number(off uint64) uint64 { return (off/8 + 1) * 0x9e3779b97f4a7c15 }

// digestOfPattern is what everybody should find.
var digestOfPattern = sync.OnceValues(func() (string, error) { return digest(newPattern()) })

// digest says how long and what the bytes are.
func digest(r io.Reader) (string, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(sum, r)
	return fmt.Sprintf("%d bytes %08x", n, sum.Sum32()), err
}
