package main

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	endOfHead     = []byte("\r\n\r\n")
	lineBreak     = []byte("\r\n")
	contentLength = []byte("content-length:")
	coding        = []byte("transfer-encoding:")
	goodStatus    = []byte("HTTP/1.1 200")
)

var errChunked = errors.New("a body came in chunks that was sent with its length, so a proxy changed that")

// message tells where the first message in data ends, and how long its body is.
// The end is 0 while the message is not complete. Only heads with a
// Content-Length, or without a body, are understood.
func message(data []byte) (end, bodyLength int, err error) {
	at := bytes.Index(data, endOfHead)
	if at < 0 {
		return 0, 0, nil
	}
	bodyLength, err = lengthOf(data[:at+2])
	if err != nil {
		return 0, 0, err
	}
	end = at + len(endOfHead) + bodyLength
	if end > len(data) {
		return 0, bodyLength, nil
	}
	return end, bodyLength, nil
}

// lengthOf returns the Content-Length of a head, 0 if there is none. The head
// ends with the line break of its last line.
func lengthOf(head []byte) (int, error) {
	for {
		at := bytes.Index(head, lineBreak)
		if at < 0 || at+2 == len(head) {
			return 0, nil
		}
		head = head[at+2:]
		switch head[0] {
		case 'c', 'C':
			if hasFoldedPrefix(head, contentLength) {
				return number(head[len(contentLength):])
			}
		case 't', 'T':
			if hasFoldedPrefix(head, coding) {
				return 0, errChunked
			}
		}
	}
}

// hasFoldedPrefix reports whether a line begins with prefix, which is in small
// letters, whatever the case of the line.
func hasFoldedPrefix(line, prefix []byte) bool {
	return len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], prefix)
}

func number(s []byte) (int, error) {
	n, digits := 0, 0
	for _, b := range s {
		switch {
		case b >= '0' && b <= '9' && digits < 9:
			n = n*10 + int(b-'0')
			digits++
		case b == ' ' && digits == 0:
		case b == '\r' && digits > 0:
			return n, nil
		default:
			return 0, fmt.Errorf("a Content-Length cannot be read: %q", line(s))
		}
	}
	return 0, fmt.Errorf("a Content-Length cannot be read: %q", line(s))
}

// line returns the first line of s, cut for errors.
func line(s []byte) string {
	first, _, _ := bytes.Cut(s, lineBreak)
	return string(first[:min(len(first), 100)])
}

// checkAnswer is all that is looked at in each answer: status and length.
func checkAnswer(data []byte, bodyLength, want int) error {
	if !bytes.HasPrefix(data, goodStatus) {
		return fmt.Errorf("a request was answered %q", line(data))
	}
	if bodyLength != want {
		return fmt.Errorf("an answer has %d bytes instead of %d", bodyLength, want)
	}
	return nil
}
