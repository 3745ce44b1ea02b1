package recipe

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// keyTemplate is the key of a signature.
type keyTemplate struct {
	text   template
	decode string // "hex", "base64", or "": the text is the key
}

// parseKey reads key and key_decode.
func parseKey(o yamldoc.Object, s *scope) (k keyTemplate, ok bool) {
	k.text, ok = parseTemplate(o.Require("key"), s)
	if o.Has("key_decode") {
		var known bool
		k.decode, known = o.OneOf("key_decode")
		ok = ok && known
	}
	return k, ok
}

// bytes gives the key. ok is false when it mentions a parameter without a value;
// why says what is wrong with it, and repeats nothing of it.
func (k keyTemplate) bytes(v values) (key string, ok bool, why string) {
	text, ok := k.text.render(v, verbatim)
	if !ok {
		return "", false, ""
	}
	var data []byte
	var err error
	switch k.decode {
	case "hex":
		data, err = hex.DecodeString(text)
	case "base64":
		data, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	default:
		return text, true, ""
	}
	if err != nil {
		return "", false, "the key is no " + k.decode
	}
	return string(data), true, ""
}

// checkKeys reports keys that are known when the configuration is read and can
// sign nothing.
func (b *binder) checkKeys(d *tokenDecl) {
	known := boundValues{b.c, knownNow{}}
	for _, l := range d.lets {
		if _, _, why := l.key.bytes(known); why != "" {
			b.errorf(b.place(l.key.text), "token %s: %s", d.name, why)
		}
	}
	for _, j := range d.jwts() {
		key, ok, why := j.key.bytes(known)
		if ok {
			if _, err := newJWTSigner(j.alg, key); err != nil {
				why = err.Error()
			}
		}
		if why != "" {
			b.errorf(b.place(j.key.text), "token %s: %s", d.name, why)
		}
	}
}

// jwts lists what the token signs.
func (t *tokenDecl) jwts() []*jwtDecl {
	var list []*jwtDecl
	for _, l := range t.lets {
		if l.jwt != nil {
			list = append(list, l.jwt)
		}
	}
	if m, ok := t.origin.(*mintOrigin); ok {
		list = append(list, &m.jwt)
	}
	return list
}

// knownNow gives the content of files as read last, and nothing that a request
// or a login brings.
type knownNow struct{}

func (knownNow) fromRequest(*requestParam) (string, bool)       { return "", false }
func (knownNow) fromToken(*TokenProgram, string) (string, bool) { return "", false }
func (knownNow) fromFile(ref *secret.Ref) string                { return ref.Current().Reveal() }
