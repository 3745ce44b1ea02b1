package http1

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bodyOf returns the body of a request whose bytes come in pieces, the first of which
// came along with the head, and where to find what was read beyond it.
func bodyOf(text string, early, piece int, length int64) (*RequestBody, *scripted, *[]string) {
	early = min(early, len(text))
	conn := &scripted{text: text[early:], piece: piece}
	rests := new([]string)
	return NewRequestBody(conn, []byte(text[:early]), length, func(rest []byte) { *rests = append(*rests, string(rest)) }), conn, rests
}

// TestRequestBody: bodies, what comes behind them, and what is wrong with them.
func TestRequestBody(t *testing.T) {
	long := strings.Repeat("0123456789", 2000)
	for _, tc := range []struct {
		name, text string
		length     int64
		want, rest string
		failed     string // "": it is whole
	}{
		{"counted", "hello", 5, "hello", "", ""},
		{"counted and more", "helloGET /", 5, "hello", "GET /", ""},
		{"long", long + "GET", int64(len(long)), long, "GET", ""},
		{"cut", "hell", 5, "hell", "", "unexpected EOF"},
		{"nothing came", "", 5, "", "", "unexpected EOF"},
		{"chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET", -1, "hello", "GET", ""},
		{"long chunk", "4E20\r\n" + long + "\r\n0\r\n\r\n", -1, long, "", ""},
		{"no chunk", "0\r\n\r\n", -1, "", "", ""},
		{"extension", "2;a=b\r\nhe\r\n0;c\r\n\r\n", -1, "he", "", ""},
		{"trailer", "2\r\nhe\r\n0\r\nA: b\r\nC: d\r\n\r\nGET", -1, "he", "GET", ""},
		{"trailer that frames", "0\r\nContent-Length: 3\r\n\r\nabc", -1, "", "", "malformed"},
		{"trailer that is none", "0\r\nA\r\n\r\n", -1, "", "", "malformed"},
		{"endless trailer", "0\r\n" + strings.Repeat("A: b\r\n", requestTrailer), -1, "", "", "malformed"},
		{"size", "x\r\n", -1, "", "", "malformed"},
		{"no size", "\r\n", -1, "", "", "malformed"},
		{"negative size", "-1\r\n", -1, "", "", "malformed"},
		{"prefixed size", "0x2\r\nhe\r\n0\r\n\r\n", -1, "", "", "malformed"},
		{"huge size", "10000000000000000\r\n", -1, "", "", "malformed"},
		{"bare LF", "2\nhe\r\n0\r\n\r\n", -1, "", "", "malformed"},
		{"bare CR", "2;\rx\r\nhe\r\n0\r\n\r\n", -1, "", "", "malformed"},
		{"data that goes on", "2\r\nhello\r\n0\r\n\r\n", -1, "he", "", "malformed"},
		{"LF behind the data", "2\r\nhe\n0\r\n\r\n", -1, "he", "", "malformed"},
		{"LF at the end", "0\r\n\n", -1, "", "", "malformed"},
		{"endless line", "1;" + long, -1, "", "", "malformed"},
		{"framing alone", strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\nx\r\n", 100), -1, "x", "", "malformed"},
		{"cut chunk", "5\r\nhell", -1, "hell", "", "unexpected EOF"},
		{"cut trailer", "0\r\n", -1, "", "", "unexpected EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, early := range []int{0, 1, 7, 4000, 1 << 20} {
				for _, piece := range []int{1, 3, 1 << 20} {
					b, conn, rests := bodyOf(tc.text, early, piece, tc.length)
					got, err := io.ReadAll(b)
					failed := kind(err)
					if strings.Contains(failed, "is not HTTP/1.1") {
						failed = "malformed"
					}
					if failed != tc.failed || !strings.HasPrefix(string(got), tc.want) || tc.failed == "" && string(got) != tc.want {
						t.Fatalf("%d, %d: %.100q, %v", early, piece, got, err)
					}
					again, err2 := b.Read(make([]byte, 1))
					if again != 0 || err == nil && err2 != io.EOF || err != nil && err2 != err {
						t.Errorf("%d, %v after %v", again, err2, err)
					}
					b.Close()
					if b.Ended() != (tc.failed == "") || len(*rests) != map[bool]int{true: 1}[tc.failed == ""] {
						t.Fatalf("ended %t, told %q", b.Ended(), *rests)
					}
					if tc.failed == "" && (*rests)[0]+conn.text != tc.rest {
						t.Errorf("%q and %q are left", *rests, conn.text)
					}
				}
			}
		})
	}
}

// TestClosedRequestBody: Close reads on as far as the deadline lets it, waits for who
// reads, and a half-read body has not ended.
func TestClosedRequestBody(t *testing.T) {
	b, _, rests := bodyOf("helloGET", 2, 2, 5)
	b.Read(make([]byte, 1))
	if b.Ended() {
		t.Error("it has ended in its midst")
	}
	if b.Close(); !b.Ended() || len(*rests) != 1 {
		t.Errorf("closed: ended %t, told %q", b.Ended(), *rests)
	}
	b.Close()
	if len(*rests) != 1 {
		t.Error("its end is told twice")
	}
	client, server := net.Pipe()
	defer client.Close()
	b = NewRequestBody(server, nil, 10, func(rest []byte) {
		if len(rest) > 0 {
			t.Errorf("%q is left", rest)
		}
	})
	read, closed := make(chan error), make(chan error)
	go func() {
		_, err := b.Read(make([]byte, 10))
		read <- err
	}()
	go func() { closed <- b.Close() }()
	io.WriteString(client, "01234")
	io.WriteString(client, "56789")
	<-read
	if err := <-closed; err != nil || !b.Ended() {
		t.Errorf("%v, ended %t", err, b.Ended())
	}
}

// TestRequestBodyUnderADeadline: that ends a body and Close for good.
func TestRequestBodyUnderADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		b := NewRequestBody(server, []byte("01"), 5, func([]byte) { t.Error("it ends") })
		server.SetReadDeadline(time.Now().Add(time.Second))
		began := time.Now()
		if got, err := io.ReadAll(b); string(got) != "01" || !os.IsTimeout(err) || time.Since(began) != time.Second || b.Ended() {
			t.Errorf("%q, %v after %v", got, err, time.Since(began))
		}
		server.SetReadDeadline(time.Time{})
		b.Close()
		if b.Ended() || time.Since(began) != time.Second {
			t.Errorf("Close reads on, for %v", time.Since(began))
		}
	})
}

// FuzzRequestBody: what is read to its end here net/http reads the same, and both see
// the next request begin at the same byte.
func FuzzRequestBody(f *testing.F) {
	for _, text := range []string{"5\r\nhello\r\n0\r\n\r\nGET", "2;a\r\nhe\r\n0\r\nA: b\r\n\r\n", "0\r\n\r\n", "a \r\n0123456789\r\n00\r\n\r\n", "2\nhe\n0\n\n"} {
		f.Add(text, uint16(0), uint16(3), false)
		f.Add(text, uint16(5), uint16(1000), true)
	}
	f.Fuzz(func(t *testing.T, text string, early, piece uint16, counted bool) {
		length, framing := int64(-1), "Transfer-Encoding: chunked"
		if counted {
			length, framing = 1+int64(early)/2, "Content-Length: "+itoa(1+int(early)/2)
		}
		b, conn, rests := bodyOf(text, int(early), int(piece)+1, length)
		got, err := io.ReadAll(b)
		src := strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n" + text)
		in := bufio.NewReaderSize(src, src.Len()+16)
		r, failed := http.ReadRequest(in)
		if failed != nil {
			t.Fatal(failed)
		}
		want, failed := io.ReadAll(r.Body)
		if err != nil {
			if !bytes.HasPrefix(want, got) && !bytes.HasPrefix(got, want) {
				t.Errorf("%q before an error, net/http: %q", got, want)
			}
			return
		}
		if failed != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q\nnet/http: %q, %v", got, want, failed)
		}
		if here, there := len((*rests)[0])+len(conn.text), in.Buffered()+src.Len(); here != there {
			t.Errorf("%d bytes are left, by net/http %d", here, there)
		}
	})
}
