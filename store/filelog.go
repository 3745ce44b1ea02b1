package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// The file of a [File] is a log: a header, and then frames. A frame holds the
// records that one flush brought to the disk, all of them or none. It begins
// with a mark, the length of its body, and the checksums of the body and of
// these three. A record is a name, a length and a sealed token; a record without
// a token says that the name is gone. Of several records of a name the last one
// counts. Numbers are big-endian.
//
// Checksums tell damage from other keys, and where a frame begins behind damage;
// that nobody forged a token is the business of its seal.

const (
	logMagic   = "attache tokens"
	logVersion = 1
	// logHeader is the length of the header: the magic and a version.
	logHeader = len(logMagic) + 2
	frameMark = 0xa77ac4e5
	frameHead = 16
	// frameFull is when a frame takes no more records. The last one may be as
	// large as a token gets.
	frameFull = 4 << 20
	maxFrame  = frameFull + 2*maxToken
	// recordHead is how much longer than its token a record is.
	recordHead = len(Name{}) + 4
)

// checksum is the CRC-32C of data.
func checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// record is what the file says of a name.
type record struct {
	name   Name
	sealed []byte // empty: the name is gone
}

func (r record) size() int64 { return int64(recordHead + len(r.sealed)) }

func appendLogHeader(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, logMagic...), logVersion)
}

// frame collects records.
type frame struct{ b []byte }

func (f *frame) add(r record) {
	if len(f.b) == 0 {
		f.b = make([]byte, frameHead, frameHead+int(r.size()))
	}
	f.b = append(f.b, r.name[:]...)
	f.b = binary.BigEndian.AppendUint32(f.b, uint32(len(r.sealed)))
	f.b = append(f.b, r.sealed...)
}

func (f *frame) full() bool { return len(f.b) >= frameFull }

// bytes returns the frame as it is written; nil without a record.
func (f *frame) bytes() []byte {
	if len(f.b) == 0 {
		return nil
	}
	body := f.b[frameHead:]
	binary.BigEndian.PutUint32(f.b, frameMark)
	binary.BigEndian.PutUint32(f.b[4:], uint32(len(body)))
	binary.BigEndian.PutUint32(f.b[8:], checksum(body))
	binary.BigEndian.PutUint32(f.b[12:], checksum(f.b[:12]))
	return f.b
}

// logContent is what a file says.
type logContent struct {
	records []record // in the order of the file; they share its memory
	end     int64    // of the last frame that is whole
	// torn: behind the end is the beginning of a frame. It was being written
	// when the process was killed, and nobody was told that it is there.
	torn bool
	// damage says what is wrong with the file; empty: nothing.
	damage string
	// foreign: nothing in the file looks as if attache wrote it.
	foreign bool
}

// What may be wrong with a file.
const (
	damagedHeader  = "its beginning is not that of a store of attache"
	damagedVersion = "another version of attache wrote it"
	damagedMiddle  = "a part in its midst was changed"
	damagedEnd     = "its end was changed"
	damagedSize    = "it is larger than any store of attache"
	damagedSeal    = "a token in it was changed"
	damagedKey     = "none of the keys opens tokens in it"
)

// readLog reads the content of a file, and whatever of it can be read.
func readLog(data []byte) logContent {
	var c logContent
	if len(data) == 0 || isZero(data) { // as if new: some file systems leave zeros after a loss of power
		c.torn = len(data) > 0
		return c
	}
	at, effort := 0, 4*len(data)+maxFrame
	switch {
	case !bytes.HasPrefix(data, []byte(logMagic)) || len(data) < logHeader:
		c.damage = damagedHeader
		if at = findFrame(data, 0, &effort); at < 0 {
			c.foreign = !bytes.HasPrefix([]byte(logMagic), data[:min(len(data), len(logMagic))])
			return c
		}
	case binary.BigEndian.Uint16(data[len(logMagic):]) != logVersion:
		c.damage = damagedVersion
		return c
	default:
		at = logHeader
	}
	c.end = int64(at)
	for at < len(data) {
		body, ok := frameAt(data[at:])
		if ok && c.readFrame(body) {
			at += frameHead + len(body)
			c.end = int64(at)
			continue
		}
		next := findFrame(data, at+1, &effort)
		switch {
		case next >= 0:
			c.damage = damagedMiddle
		case isTorn(data[at:]):
			c.torn = true
			return c
		default:
			c.damage = damagedEnd
			return c
		}
		at = next
	}
	return c
}

// readFrame takes a body apart.
func (c *logContent) readFrame(body []byte) bool {
	before := len(c.records)
	for len(body) > 0 {
		if len(body) < recordHead {
			break
		}
		n := int64(binary.BigEndian.Uint32(body[len(Name{}):]))
		if n > int64(len(body)-recordHead) {
			break
		}
		r := record{name: Name(body[:len(Name{})]), sealed: body[recordHead : int64(recordHead)+n]}
		c.records = append(c.records, r)
		body = body[r.size():]
	}
	if len(body) > 0 {
		c.records = c.records[:before]
	}
	return len(body) == 0
}

// headAt returns the length of the body of the frame that begins here.
func headAt(data []byte) (length int, ok bool) {
	if len(data) < frameHead || binary.BigEndian.Uint32(data) != frameMark ||
		checksum(data[:12]) != binary.BigEndian.Uint32(data[12:]) {
		return 0, false
	}
	n := binary.BigEndian.Uint32(data[4:])
	return int(n), n <= maxFrame
}

// frameAt returns the body of the frame that begins here, if it is whole.
func frameAt(data []byte) (body []byte, ok bool) {
	n, ok := headAt(data)
	if !ok || n > len(data)-frameHead {
		return nil, false
	}
	body = data[frameHead : frameHead+n]
	return body, checksum(body) == binary.BigEndian.Uint32(data[8:])
}

// findFrame returns where the next whole frame begins, or -1. effort is how many
// bytes may still be looked into, and is used up: a file made for it could have
// every part of it looked into once for each other part.
func findFrame(data []byte, from int, effort *int) int {
	mark := binary.BigEndian.AppendUint32(nil, frameMark)
	for at := from; at < len(data); at++ {
		next := bytes.Index(data[at:], mark)
		if next < 0 {
			return -1
		}
		at += next
		n, ok := headAt(data[at:])
		if !ok {
			continue
		}
		if *effort -= n; *effort < 0 {
			return -1
		}
		if _, ok := frameAt(data[at:]); ok {
			return at
		}
	}
	return -1
}

// isTorn reports whether what is no frame, at the end of a file, is one that was
// being written: its beginning, or with zeros at its end, which some file
// systems leave where data was not written before the power went.
func isTorn(tail []byte) bool {
	if n, ok := headAt(tail); ok && n > len(tail)-frameHead {
		return true
	}
	return len(tail) < frameHead || isZero(tail[len(tail)-frameHead:])
}

func isZero(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}
