package recipe

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// readBody reads the body of a login's answer, decoded, of at most limit
// bytes. What is larger is an error, whether it is sent in full or blown up
// from a small archive.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	tooLarge := fmt.Errorf("the answer is larger than %s (max_body)", formatSize(limit))
	// The compressed form is bounded as well: an endless archive that decodes
	// to nothing never reaches the other bound.
	raw := &io.LimitedReader{R: resp.Body, N: limit + limit/8 + 1024}
	var body io.Reader = raw
	encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding")))
	var err error
	switch encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		body, err = gzip.NewReader(raw)
	case "deflate":
		body, err = zlib.NewReader(raw)
	default:
		return nil, fmt.Errorf("the answer is compressed as %q, which was not asked for", shorten(encoding, 20))
	}
	if errors.Is(err, io.EOF) { // nothing at all
		return nil, nil
	}
	if err != nil {
		return nil, decodingError(encoding, err)
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if int64(len(data)) > limit || raw.N <= 0 {
		return nil, tooLarge
	}
	if err != nil {
		return nil, decodingError(encoding, err)
	}
	return data, nil
}

// decodingError says what broke: the archive or the connection.
func decodingError(encoding string, err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) {
		return fmt.Errorf("the answer is no valid %s: %w", encoding, err)
	}
	return fmt.Errorf("the answer broke off: %w", err)
}

func formatSize(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// describeBody says what kind of body an answer has when it is no JSON: nobody
// wants a whole HTML page in a log.
func describeBody(ans *answer) string {
	start := bytes.TrimPrefix(ans.body[:min(len(ans.body), 256)], []byte("\xef\xbb\xbf"))
	start = bytes.ToLower(bytes.TrimSpace(start))
	switch {
	case len(ans.body) == 0:
		return " with an empty body"
	case bytes.HasPrefix(start, []byte("<!doctype html")), bytes.HasPrefix(start, []byte("<html")),
		strings.HasPrefix(strings.ToLower(ans.header.Get("Content-Type")), "text/html"):
		return fmt.Sprintf(" with an HTML page of %d bytes", len(ans.body))
	}
	if _, ok := ans.document(); ok {
		return ""
	}
	return fmt.Sprintf(" with %d bytes that are no JSON", len(ans.body))
}
