package recipe

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// letDecl is a named value that is computed once per login, so that a
// signature and the body that it signs share one time and one nonce.
type letDecl struct {
	name string
	fn   string // "now", "sha256", "hmac_sha1", …
	arg  template
	key  keyTemplate   // hmac_*
	as   string        // now: the form; hashes: the encoding
	add  time.Duration // now
	size int           // nonce
	// number: in JSON the value is a number where it is the whole text; now
	number bool
	jwt    *jwtDecl // jwt
}

// letFunctions lists what let can compute.
func letFunctions() []string {
	return []string{"now", "base64", "percent", "uuid", "nonce", "md5", "sha1", "sha256", "sha384", "sha512",
		"hmac_md5", "hmac_sha1", "hmac_sha256", "hmac_sha384", "hmac_sha512", "jwt"}
}

// newHash returns the hash of that name, or nil.
func newHash(name string) func() hash.Hash {
	switch name {
	case "md5":
		return md5.New
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	}
	return nil
}

// lets reads the values of one token, in order; each knows those before it.
func (p *parser) lets(v yamldoc.Value, s *scope) {
	entries := tooMany(v, v.Entries(), maxLets, "values")
	for _, e := range entries {
		s.token.letNames = append(s.token.letNames, e.Name)
	}
	for _, e := range entries {
		if !shape.IsName(e.Name) {
			e.Key.Errorf("%q is no name: want small letters, digits, - and _, and a letter first", e.Name)
			continue
		}
		if is, ok := p.taken[e.Name]; ok {
			e.Key.Errorf("the name %s is taken: it %s", e.Name, is)
			continue
		}
		if l, ok := parseLet(e.Value, s); ok {
			l.name = e.Name
			s.token.lets = append(s.token.lets, l)
		}
	}
}

func parseLet(v yamldoc.Value, s *scope) (letDecl, bool) {
	o := v.Object(letShape())
	var l letDecl
	for _, fn := range letFunctions() {
		if !o.Has(fn) {
			continue
		}
		if l.fn != "" {
			v.Errorf("says both %s and %s; one value is one function", l.fn, fn)
			return l, false
		}
		l.fn = fn
	}
	if l.fn == "" {
		if v.IsMap() {
			v.Errorf("want one of %s", strings.Join(letFunctions(), ", "))
		}
		return l, false
	}
	return l, l.argument(o, s) && l.options(o, s)
}

// argument reads what stands behind the function's name.
func (l *letDecl) argument(o yamldoc.Object, s *scope) (ok bool) {
	switch l.fn {
	case "now":
		l.as, ok = o.OneOf(l.fn)
	case "uuid":
		_, ok = o.OneOf(l.fn)
	case "nonce":
		var n int64
		n, ok = o.Int(l.fn)
		l.size = int(n)
	case "jwt":
		var d jwtDecl
		d, ok = parseJWT(o.Get(l.fn), s)
		l.jwt = &d
	default:
		l.arg, ok = parseTemplate(o.Get(l.fn), s)
	}
	return ok
}

// options reads add, type, encode, key and key_decode, each where it has a meaning.
func (l *letDecl) options(o yamldoc.Object, s *scope) bool {
	ok := true
	hashName, keyed := strings.CutPrefix(l.fn, "hmac_")
	hashes := newHash(hashName) != nil
	allowed := map[string]bool{"add": l.fn == "now", "type": l.fn == "now", "encode": hashes, "key": keyed, "key_decode": keyed}
	for _, k := range []string{"add", "type", "encode", "key", "key_decode"} {
		if o.Has(k) && !allowed[k] {
			o.Get(k).Errorf("%s means nothing for %s", k, l.fn)
			ok = false
		}
	}
	if !ok {
		return false
	}
	if o.Has("add") {
		l.add, ok = o.Duration("add")
	}
	if o.Has("type") {
		word, known := o.OneOf("type")
		if l.number = word == "int"; l.number && !l.isTime() {
			o.Get("type").Errorf("%s is no number", l.as)
		}
		ok = ok && known
	}
	if hashes {
		l.as = "hex"
		if o.Has("encode") {
			l.as, ok = o.OneOf("encode")
		}
	}
	if keyed {
		var found bool
		l.key, found = parseKey(o, s)
		ok = ok && found
	}
	return ok
}

// secret reports whether the value may give a secret away. Times and UUIDs
// never do, and help whoever reads a transcript.
func (l *letDecl) secret() bool { return l.fn != "now" && l.fn != "uuid" }

// isTime reports whether the value is a time that JSON can have as a number.
func (l *letDecl) isTime() bool { return l.fn == "now" && l.as != "rfc3339" }

// compute gives the value. ok is false when it mentions a parameter without a
// value: then whatever mentions it is left out as well.
func (l *letDecl) compute(v typedValues, now time.Time, random io.Reader) (text string, ok bool, err error) {
	switch l.fn {
	case "now":
		return formatNow(now.Add(l.add), l.as), true, nil
	case "uuid":
		text, err = newUUID(random)
		return text, err == nil, err
	case "nonce":
		text, err = newNonce(random, l.size)
		return text, err == nil, err
	case "jwt":
		text, ok, err = l.jwt.sign(v, random)
		if err != nil {
			err = fmt.Errorf("let %s: %w", l.name, err)
		}
		return text, ok, err
	}
	arg, ok := l.arg.render(v, verbatim)
	if !ok {
		return "", false, nil
	}
	switch l.fn {
	case "base64":
		text = base64.StdEncoding.EncodeToString([]byte(arg))
		return text, true, checkLet(l.name, text)
	case "percent":
		text = escapeQuery(arg)
		return text, true, checkLet(l.name, text)
	}
	hashName, keyed := strings.CutPrefix(l.fn, "hmac_")
	h := newHash(hashName)()
	if keyed {
		key, ok, why := l.key.bytes(v)
		if why != "" {
			return "", false, fmt.Errorf("let %s: %s", l.name, why)
		}
		if !ok {
			return "", false, nil
		}
		h = hmac.New(newHash(hashName), []byte(key))
	}
	io.WriteString(h, arg)
	return encodeSum(h.Sum(nil), l.as), true, nil
}

func formatNow(t time.Time, as string) string {
	switch as {
	case "unix_ms":
		return strconv.FormatInt(t.UnixMilli(), 10)
	case "rfc3339":
		return t.UTC().Format(time.RFC3339)
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func encodeSum(sum []byte, as string) string {
	switch as {
	case "base64":
		return base64.StdEncoding.EncodeToString(sum)
	case "base64url": // without padding, as in JOSE
		return base64.RawURLEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:]), nil
}

// newNonce returns n random letters and digits. There are 64 of them less two,
// so bytes that fall outside are drawn again: every character is as likely.
func newNonce(random io.Reader, n int) (string, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, n)
	var b [64]byte
	for len(out) < n {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("read random bytes: %w", err)
		}
		for _, c := range b {
			if i := int(c & 63); i < len(letters) && len(out) < n {
				out = append(out, letters[i])
			}
		}
	}
	return string(out), nil
}
