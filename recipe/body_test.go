package recipe

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"
)

func TestHugeAnswers(t *testing.T) {
	bomb := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		block := make([]byte, 1<<20)
		for range 8 {
			w.Write(block)
		}
		w.Close()
		return b.Bytes()
	}
	var gz, zl bytes.Buffer
	empty := func() []byte { // an archive of nothing
		var b bytes.Buffer
		gzip.NewWriter(&b).Close()
		return b.Bytes()
	}()
	for name, tt := range map[string]struct {
		encoding string
		body     io.Reader
	}{
		"endless":               {"", &endless{pattern: bytes.Repeat([]byte("x"), 4096)}},
		"gzip bomb":             {"gzip", bytes.NewReader(bomb(gzip.NewWriter(&gz), &gz))},
		"deflate bomb":          {"deflate", bytes.NewReader(bomb(zlib.NewWriter(&zl), &zl))},
		"endless empty archive": {"gzip", &endless{pattern: bytes.Repeat(empty, 1000)}},
	} {
		t.Run(name, func(t *testing.T) {
			p := program(t, "")
			read := &counter{r: tt.body}
			rt := roundTrip(func(req *http.Request) (*http.Response, error) {
				h := http.Header{}
				if tt.encoding != "" {
					h.Set("Content-Encoding", tt.encoding)
				}
				return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(read)}, nil
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fixedSource(p, rt).Fetch(t.Context(), input(p))
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("used %d bytes of memory", n)
			}
			if want := "api.example.com answered 200, but the answer is larger than 1MiB (max_body)"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if read.n > 2<<20 {
				t.Errorf("read %d bytes", read.n)
			}
		})
	}
}

// endless repeats a pattern for ever.
type endless struct {
	pattern []byte
	at      int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.pattern[e.at%len(e.pattern):])
	e.at += n
	return n, nil
}

// counter counts what is read, and ends what would go on for ever.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	if c.n > 32<<20 {
		return 0, errors.New("read far too much")
	}
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
