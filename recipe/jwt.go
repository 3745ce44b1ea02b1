package recipe

import (
	"crypto"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"attache/internal/yamldoc"
)

// jwtDecl is a JWT that is made and signed here (RFC 7519): as a proof of who
// logs in, or as the token itself.
type jwtDecl struct {
	alg    string
	key    keyTemplate
	header *jsonNode // what stands in the header besides alg; an object
	claims *jsonNode // an object
}

// jwtAlgorithms lists how a JWT can be signed (RFC 7518 section 3.1, RFC 8037).
func jwtAlgorithms() []string {
	return []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func parseJWT(v yamldoc.Value, s *scope) (d jwtDecl, ok bool) {
	o := v.Object(jwtShape())
	if !v.IsMap() {
		return d, false
	}
	o.Require("alg")
	key, claims := o.Require("key"), o.Require("claims")
	d.alg, ok = o.OneOf("alg")
	if !key.IsZero() {
		var found bool
		d.key, found = parseKey(o, s)
		ok = ok && found && checkKeyText(key, d.key.text)
	}
	if v := o.Get("key_decode"); !v.IsZero() && ok && !strings.HasPrefix(d.alg, "HS") {
		v.Errorf("a key of %s is in PEM", d.alg)
		ok = false
	}
	d.header, d.claims = &jsonNode{kind: jsonObject}, &jsonNode{kind: jsonObject}
	if h := o.Get("header"); !h.IsZero() {
		d.header = parseJWTPart(h, s)
		for _, e := range h.Entries() {
			if e.Name == "alg" {
				e.Key.Errorf("alg stands beside header, not in it")
			}
		}
	}
	if !claims.IsZero() {
		d.claims = parseJWTPart(claims, s)
		d.checkTimes(claims, s)
	}
	return d, ok && !claims.IsZero() && !key.IsZero()
}

// parseJWTPart reads a map. In it a time of let is a number wherever it is the
// whole text, as times in a JWT are.
func parseJWTPart(v yamldoc.Value, s *scope) *jsonNode {
	if v.Entries(); !v.IsMap() { // notes what it is instead
		return &jsonNode{kind: jsonObject}
	}
	n := parseJSONBody(v, s)
	n.numberTimes(s)
	return n
}

// checkKeyText reports a key that stands in the recipe: recipes are shared.
func checkKeyText(v yamldoc.Value, t template) bool {
	if len(t.refs()) == 0 {
		v.Errorf("a key comes from a parameter: ${NAME}")
		return false
	}
	return true
}

// checkTimes reports times that nobody who reads a JWT takes for one: they are
// seconds since 1970, as a number (RFC 7519 section 2, NumericDate).
func (d *jwtDecl) checkTimes(claims yamldoc.Value, s *scope) {
	for i, e := range claims.Entries() {
		if e.Name != "exp" && e.Name != "iat" && e.Name != "nbf" || i >= len(d.claims.items) {
			continue
		}
		good := false
		switch n := d.claims.items[i]; n.kind {
		case jsonRaw:
			good = n.raw != "null" && n.raw != "true" && n.raw != "false"
		case jsonText:
			if len(n.text.parts) == 0 {
				continue // it could not be read, which was noted
			}
			switch ref := n.text.alone(); {
			case ref == nil:
			case ref.kind == refParam:
				good = s.recipe.Params[ref.param].Type == TypeInt
			case ref.kind == refLet:
				good = s.token.lets[ref.let].as == "unix"
			}
		}
		if !good {
			e.Value.Errorf("want a time in seconds, as a number: ${NAME} for a value of let that is {now: unix}")
		}
	}
}

// templates calls f for everything that the JWT mentions.
func (d *jwtDecl) templates(f func(template)) {
	if d == nil {
		return
	}
	f(d.key.text)
	d.header.templates(f)
	d.claims.templates(f)
}

// sign makes the JWT. ok is false when the key mentions a parameter without a
// value. Errors never repeat a value.
func (d *jwtDecl) sign(v typedValues, random io.Reader) (token string, ok bool, err error) {
	key, ok, why := d.key.bytes(v)
	switch {
	case why != "":
		return "", false, errors.New(why)
	case !ok:
		return "", false, nil
	}
	signer, err := newJWTSigner(d.alg, key)
	if err != nil {
		return "", false, err
	}
	header := d.head(v)
	claims, _ := d.claims.document(nil, v) // an object is always there
	encoding := base64.RawURLEncoding
	input := encoding.EncodeToString(header) + "." + encoding.EncodeToString(claims)
	signature, err := signer.sign([]byte(input), random)
	if err != nil {
		return "", false, err
	}
	return input + "." + encoding.EncodeToString(signature), true, nil
}

// head writes the header: alg, typ and what the recipe adds, which may be
// another typ.
func (d *jwtDecl) head(v typedValues) []byte {
	start := `{"alg":"` + d.alg + `"`
	own := false
	for _, name := range d.header.names {
		own = own || name == "typ"
	}
	if !own {
		start += `,"typ":"JWT"`
	}
	rest, _ := d.header.document(nil, v)
	if string(rest) == "{}" {
		return []byte(start + "}")
	}
	return append([]byte(start+","), rest[1:]...)
}

// hashOf returns the hash of an algorithm: RS256 signs SHA-256.
func hashOf(alg string) crypto.Hash {
	switch {
	case strings.HasSuffix(alg, "256"):
		return crypto.SHA256
	case strings.HasSuffix(alg, "384"):
		return crypto.SHA384
	case strings.HasSuffix(alg, "512"):
		return crypto.SHA512
	}
	return 0 // EdDSA has its own
}

// numberTimes makes numbers of the texts that are one time of let.
func (n *jsonNode) numberTimes(s *scope) {
	if n.kind == jsonText {
		if ref := n.text.alone(); ref != nil && ref.kind == refLet && s.token != nil {
			n.number = n.number || s.token.lets[ref.let].isTime()
		}
	}
	for _, item := range n.items {
		item.numberTimes(s)
	}
}
