package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// A token is written as: the version; flags; its generation; when it was issued
// and when it expires, in Unix milliseconds; its value; the number of outputs,
// and these by their names. Numbers are varints, and texts begin with their
// length. Each token has one form, and nothing else is read.

// codecVersion begins every token.
const codecVersion = 1

// maxToken bounds a token in bytes. The engine's own bounds are far below it.
const maxToken = 1 << 20

const (
	flagLasting = 1 << iota
	flagRejected
	flagIssued
	flagExpires
	flagsKnown = 1<<iota - 1
)

var (
	errTooBig = fmt.Errorf("the token is larger than %d bytes, which no store keeps", maxToken)
	errToken  = errors.New("a stored token cannot be read: it is cut off, or of another version of attache")
)

// encode writes a token. Times lose what is below the millisecond.
func encode(s refresher.Stored) ([]byte, error) {
	t := s.Token
	var flags byte
	for flag, is := range map[byte]bool{
		flagLasting: t.Lasting, flagRejected: s.Rejected, flagIssued: !t.IssuedAt.IsZero(), flagExpires: !t.ExpiresAt.IsZero(),
	} {
		if is {
			flags |= flag
		}
	}
	b := binary.AppendUvarint([]byte{codecVersion, flags}, t.Generation)
	for _, at := range []time.Time{t.IssuedAt, t.ExpiresAt} {
		if !at.IsZero() {
			b = binary.AppendVarint(b, at.UnixMilli())
		}
	}
	b = appendText(b, t.Value.Reveal())
	b = binary.AppendUvarint(b, uint64(len(t.Outputs)))
	for _, name := range slices.Sorted(maps.Keys(t.Outputs)) {
		b = appendText(appendText(b, name), t.Outputs[name].Reveal())
	}
	if len(b) > maxToken {
		return nil, errTooBig
	}
	return b, nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decode is the reverse of encode.
func decode(b []byte) (refresher.Stored, error) {
	if len(b) < 2 || len(b) > maxToken || b[0] != codecVersion || b[1]&^flagsKnown != 0 {
		return refresher.Stored{}, errToken
	}
	flags, r := b[1], reader{b: b[2:]}
	s := refresher.Stored{Rejected: flags&flagRejected != 0}
	t := &s.Token
	t.Lasting = flags&flagLasting != 0
	t.Generation = r.number()
	if flags&flagIssued != 0 {
		t.IssuedAt = r.time()
	}
	if flags&flagExpires != 0 {
		t.ExpiresAt = r.time()
	}
	t.Value = secret.New(r.text())
	n, last := r.number(), ""
	for i := uint64(0); i < n && !r.bad; i++ {
		name := r.text()
		if i > 0 && name <= last {
			r.bad = true
		}
		if t.Outputs == nil {
			t.Outputs = map[string]secret.String{}
		}
		t.Outputs[name], last = secret.New(r.text()), name
	}
	if r.bad || len(r.b) > 0 || t.Generation == 0 {
		return refresher.Stored{}, errToken
	}
	return s, nil
}

// reader takes apart what encode wrote. After a mistake everything is zero.
type reader struct {
	b   []byte
	bad bool
}

// number reads a number in its shortest form.
func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// time reads a time, as the wall clock of this place.
func (r *reader) time() time.Time {
	v := r.number()
	at := time.UnixMilli(int64(v>>1) ^ -int64(v&1)) // zigzag, as binary.AppendVarint writes
	if r.bad || at.IsZero() {
		r.bad = true
		return time.Time{}
	}
	return at
}

func (r *reader) text() string {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	text := string(r.b[:n])
	r.b = r.b[n:]
	return text
}
