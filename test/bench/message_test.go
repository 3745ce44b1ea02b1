package main

import (
	"errors"
	"strings"
	"testing"
)

func TestMessageEndsWhereItsLengthSays(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nDate: x\r\ncontent-LENGTH:  5\r\nX: y\r\n\r\nhello"
	for cut := range len(whole) {
		if end, _, err := message([]byte(whole[:cut])); end != 0 || err != nil {
			t.Fatalf("the first %d bytes end at %d, %v", cut, end, err)
		}
	}
	if end, length, err := message([]byte(whole + "more")); end != len(whole) || length != 5 || err != nil {
		t.Errorf("end %d, length %d, %v", end, length, err)
	}
	const bare = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	if end, length, err := message([]byte(bare)); end != len(bare) || length != 0 || err != nil {
		t.Errorf("without a body: end %d, length %d, %v", end, length, err)
	}
}

func TestMessageRefusesWhatItCannotMeasure(t *testing.T) {
	head := func(line string) []byte { return []byte("HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n") }
	if _, _, err := message(head("Transfer-Encoding: chunked")); !errors.Is(err, errChunked) {
		t.Errorf("chunked: %v", err)
	}
	for _, value := range []string{"", "x", "-1", "1 2", "99999999999999999999"} {
		if end, length, err := message(head("Content-Length: " + value)); err == nil {
			t.Errorf("Content-Length %q: end %d, length %d", value, end, length)
		}
	}
}

func TestAnswersAreCheckedForStatusAndLength(t *testing.T) {
	if err := checkAnswer([]byte("HTTP/1.1 200 OK\r\n"), 200, 200); err != nil {
		t.Error(err)
	}
	if err := checkAnswer([]byte("HTTP/1.1 502 Bad Gateway\r\nX: y"), 200, 200); err == nil || !strings.Contains(err.Error(), `"HTTP/1.1 502 Bad Gateway"`) {
		t.Errorf("status: %v", err)
	}
	if err := checkAnswer([]byte("HTTP/1.1 200 OK\r\n"), 199, 200); err == nil {
		t.Error("a short answer passes")
	}
}

// Every case is one that the reader of answers understands, and has the sizes
// that it says.
func TestCasesAreAsTheySay(t *testing.T) {
	all := answers()
	for _, c := range cases() {
		answer := all[c.Path]
		read := message
		if c.Chunked {
			read = chunkedMessage
		}
		if end, length, err := read(answer); err != nil || end != len(answer) || length != c.AnswerBytes {
			t.Errorf("%s: answer of %d bytes, end %d of %d, %v; want %d", c.Name, length, end, len(answer), err, c.AnswerBytes)
		}
		requests := c.requests("127.0.0.1:1")
		if want := map[bool]int{true: users, false: 1}[c.PerUser]; len(requests) != want {
			t.Errorf("%s: %d requests, want %d", c.Name, len(requests), want)
		}
		for _, r := range requests[:1] {
			if end, length, err := message(r); err != nil || end != len(r) || length != c.PostBytes {
				t.Errorf("%s: request with a body of %d bytes, end %d of %d, %v", c.Name, length, end, len(r), err)
			}
			if !strings.Contains(string(r), "\r\nAuthorization: Bearer "+clientToken+"\r\n") {
				t.Errorf("%s: the client sends no credential that would have to be removed", c.Name)
			}
		}
	}
	if n := len(tokenOf("user-9999")); n != 200 || tokenOf("user-1") == tokenOf("user-2") {
		t.Errorf("tokens of %d bytes", n)
	}
}
