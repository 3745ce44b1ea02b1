package http1

import "bytes"

// gather makes a counted body of one in chunks that is here to its end, in its place.
// Any other one, and one with a trailer or word of one, is left alone.
func (t *Trip) gather() {
	c := t.conn
	if t.Fields.Values("Trailer") != nil {
		return
	}
	body, rest, whole := unchunk(c.buf[c.r:c.w])
	if !whole {
		return
	}
	// What came beyond the answer stays beyond it, so that the connection is not
	// used again.
	c.w = c.r + copy(c.buf[c.r+body:], c.buf[c.w-rest:c.w]) + body
	t.gathered = true
	t.end.kind, t.end.length = bodyCounted, int64(body)
	t.Length, t.left = t.end.length, t.end.length
}

// unchunk joins the chunks that p begins with, at its beginning: body bytes of them.
// rest is how many bytes follow the last chunk. It is only whole if p has the end of
// the body, without a trailer; otherwise p is as it was. What is malformed is not
// whole: who reads it bit by bit will say so.
func unchunk(p []byte) (body, rest int, whole bool) {
	end, ok := chunksEnd(p)
	if !ok {
		return 0, 0, false
	}
	for at := 0; ; {
		line := bytes.IndexByte(p[at:], '\n')
		size, _ := parseSize(p[at : at+line-1]) // chunksEnd saw to it
		if size == 0 {
			return body, len(p) - end, true
		}
		at += line + 1
		body += copy(p[body:], p[at:at+int(size)])
		at += int(size) + len("\r\n")
	}
}

// chunksEnd returns where a body in chunks ends, if p has its end and it is well
// formed and without a trailer. It changes nothing.
func chunksEnd(p []byte) (end int, ok bool) {
	framing := 0
	for at := 0; ; {
		line := bytes.IndexByte(p[at:], '\n')
		if line < 1 || bytes.IndexByte(p[at:at+line], '\r') != line-1 {
			return 0, false
		}
		size, err := parseSize(p[at : at+line-1])
		framing += line
		if err != nil || size > int64(len(p)) || framing > readSize {
			return 0, false
		}
		at += line + 1
		if size == 0 {
			return at + 2, bytes.HasPrefix(p[at:], []byte("\r\n"))
		}
		at += int(size)
		if !bytes.HasPrefix(p[min(at, len(p)):], []byte("\r\n")) {
			return 0, false
		}
		at += 2
	}
}
