package main

import (
	"bytes"
	"fmt"
)

var chunkedCoding = []byte("transfer-encoding: chunked")

// chunkedMessage is message for answers that were sent in chunks; the length is
// that of what is in all of them. A proxy may have counted them and given a
// length instead. Extensions and trailers are not understood: no upstream here
// sends them.
func chunkedMessage(data []byte) (end, bodyLength int, err error) {
	at := bytes.Index(data, endOfHead)
	if at < 0 {
		return 0, 0, nil
	}
	if !hasLine(data[:at+2], chunkedCoding) {
		return message(data)
	}
	for at += len(endOfHead); ; {
		size, digits, err := chunkSize(data[at:])
		if digits == 0 || err != nil {
			return 0, 0, err
		}
		at += digits + len(lineBreak)
		if at+size+len(lineBreak) > len(data) {
			return 0, 0, nil
		}
		if data[at+size] != '\r' || data[at+size+1] != '\n' {
			return 0, 0, fmt.Errorf("a chunk of %d bytes does not end after them", size)
		}
		at += size + len(lineBreak)
		if size == 0 {
			return at, bodyLength, nil
		}
		bodyLength += size
	}
}

// chunkSize reads the line before a chunk. It has no digits while the line is
// not complete.
func chunkSize(data []byte) (size, digits int, err error) {
	const most = 6
	for i, b := range data {
		switch {
		case b >= '0' && b <= '9' && i < most:
			size = size<<4 | int(b-'0')
		case b >= 'a' && b <= 'f' && i < most:
			size = size<<4 | int(b-'a'+10)
		case b >= 'A' && b <= 'F' && i < most:
			size = size<<4 | int(b-'A'+10)
		case b == '\r' && i > 0 && i+1 == len(data):
			return 0, 0, nil
		case b == '\r' && i > 0 && data[i+1] == '\n':
			return size, i, nil
		default:
			return 0, 0, fmt.Errorf("the size of a chunk cannot be read: %q", line(data))
		}
	}
	return 0, 0, nil
}

// hasLine reports whether a head has a line after its first, in any case. The
// head ends with the line break of its last line.
func hasLine(head, wanted []byte) bool {
	for {
		at := bytes.Index(head, lineBreak)
		if at < 0 || at+2 == len(head) {
			return false
		}
		head = head[at+2:]
		if hasFoldedPrefix(head, wanted) && bytes.HasPrefix(head[len(wanted):], lineBreak) {
			return true
		}
	}
}
