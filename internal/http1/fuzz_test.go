package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// FuzzAnswer: whatever is accepted here net/http reads the same.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		ok,
		"HTTP/1.0 200\r\nA: b\r\na:c \t\r\n\r\nrest",
		"HTTP/1.1 103 x\r\nL: 1\r\n\r\nHTTP/1.1 204 y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;a\r\nabc\r\n0\r\nX: 1\r\nY: 2\r\n\r\nmore",
		"HTTP/1.1 304 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
	} {
		for _, piece := range []uint16{1, 1000} {
			f.Add([]byte(text), piece, false)
			f.Add([]byte(text), piece, true)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint16, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		c, s := scriptedClient(string(text), int(piece)+1)
		r := request(context.Background(), method, "")
		ans, err := c.Do(r, Options{})
		if err != nil || ans.StatusCode == http.StatusSwitchingProtocols {
			return
		}
		body, failed := io.ReadAll(ans.Body)
		src := bytes.NewReader(text)
		// As large as the text: net/http takes a trailer that does not fit
		// for a mistake.
		in := bufio.NewReaderSize(src, len(text)+16)
		var want *http.Response
		for want == nil || want.StatusCode < 200 {
			if want, err = http.ReadResponse(in, r); err != nil {
				t.Fatalf("net/http refuses it: %v", err)
			}
		}
		wantBody, wantFailed := io.ReadAll(want.Body)
		if failed != nil {
			if !bytes.HasPrefix(wantBody, body) && !bytes.HasPrefix(body, wantBody) {
				t.Errorf("body %q before an error, net/http: %q", body, wantBody)
			}
			return
		}
		if wantFailed != nil {
			t.Fatalf("net/http fails on the body: %v", wantFailed)
		}
		if ans.StatusCode != want.StatusCode || ans.Status != strings.TrimLeft(want.Status, " ") || ans.ProtoMinor != want.ProtoMinor ||
			ans.ContentLength != want.ContentLength || !bytes.Equal(body, wantBody) {
			t.Errorf("%+v %q\nnet/http: %+v %q", ans, body, want, wantBody)
		}
		if got, want := fieldsToCompare(ans.Header), fieldsToCompare(want.Header); !reflect.DeepEqual(got, want) {
			t.Errorf("header %q\nnet/http: %q", got, want)
		}
		if !head && len(ans.Trailer)+len(want.Trailer) > 0 && !reflect.DeepEqual(ans.Trailer, want.Trailer) {
			t.Errorf("trailer %q\nnet/http: %q", ans.Trailer, want.Trailer)
		}
		if c.idleCount() == 1 && len(s.text) != in.Buffered()+src.Len() {
			t.Errorf("%d bytes are left for the next answer, by net/http %d", len(s.text), in.Buffered()+src.Len())
		}
		if c.idleCount() == 1 && want.Close {
			t.Error("the connection is kept, net/http would close it")
		}
	})
}

// fieldsToCompare leaves out what net/http adds and removes.
func fieldsToCompare(header http.Header) http.Header {
	h := header.Clone()
	for _, key := range []string{"Connection", "Trailer"} {
		delete(h, key)
	}
	if h["Pragma"] != nil {
		delete(h, "Cache-Control")
	}
	return h
}

// FuzzTrip: whatever an upstream says to two requests, Send makes of it what Do does.
func FuzzTrip(f *testing.F) {
	for _, tc := range conversations {
		f.Add([]byte(strings.Join(tc.conns[0], "")), uint16(20000), tc.method == "HEAD")
		f.Add([]byte(strings.Join(tc.conns[0], "")), uint16(6), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint16, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		var all [2][]got
		for i, send := range []sender{viaDo, viaSend} {
			c, s := scriptedClient(string(text), int(piece)+1)
			trip := new(Trip)
			for range 2 {
				g := send(t.Context(), c, trip, method, "")
				delete(g.header, "Transfer-Encoding")
				if strings.Contains(g.failed, "is not HTTP/1.1") { // of several mistakes a larger buffer shows another first
					g.failed = "malformed"
				}
				g.length += int64(c.idleCount()) << 50
				if g.failed == "" && c.idleCount() == 1 { // what is left over
					g.length += int64(len(s.text)) << 20
				}
				if all[i] = append(all[i], g); g.failed != "" || c.idleCount() == 0 {
					break // the next one would be sent into the midst of this answer
				}
			}
		}
		if !reflect.DeepEqual(all[0], all[1]) {
			t.Errorf("%+v\nDo: %+v", all[1], all[0])
		}
	})
}
