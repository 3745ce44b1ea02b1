package main

import "testing"

const chunkedHead = "HTTP/1.1 200 OK\r\nDate: x\r\ntransfer-Encoding: chunked\r\nX: y\r\n\r\n"

func TestChunkedMessageEndsWithItsLastChunk(t *testing.T) {
	const whole = chunkedHead + "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"
	for cut := range len(whole) {
		if end, _, err := chunkedMessage([]byte(whole[:cut])); end != 0 || err != nil {
			t.Fatalf("the first %d bytes end at %d, %v", cut, end, err)
		}
	}
	if end, length, err := chunkedMessage([]byte(whole + "more")); end != len(whole) || length != 15 || err != nil {
		t.Errorf("end %d, length %d, %v", end, length, err)
	}
}

func TestChunkedMessageRefusesWhatItCannotMeasure(t *testing.T) {
	for _, body := range []string{"\r\n", "x\r\n", "5;a=b\r\nhello\r\n", "1234567\r\n", "5\rhello", "5\r\nhello!\r\n", "0\r\nTrailer: x\r\n\r\n"} {
		if end, length, err := chunkedMessage([]byte(chunkedHead + body)); err == nil {
			t.Errorf("%q: end %d, length %d", body, end, length)
		}
	}
}

// A proxy that has a whole short answer may count it, as net/http does.
func TestChunkedMessageMayHaveGotALength(t *testing.T) {
	const withLength = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	if end, length, err := chunkedMessage([]byte(withLength)); end != len(withLength) || length != 5 || err != nil {
		t.Errorf("end %d, length %d, %v", end, length, err)
	}
}
