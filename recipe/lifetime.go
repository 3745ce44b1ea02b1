package recipe

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"attache/internal/yamldoc"
)

// The bounds of a lifetime. A vendor's nonsense must neither cause a login per
// request nor a token that is never renewed.
const (
	fallbackLifetime = time.Minute
	maxLifetime      = 10 * 365 * 24 * time.Hour
)

// untilRefused is written for a token whose vendor names no lifetime.
const untilRefused = "until_refused"

// lifetimeDecl is one candidate for the lifetime of a token.
type lifetimeDecl struct {
	kind lifetimeKind
	from extractor     // lifetimeFrom
	as   string        // lifetimeFrom: seconds, epoch, …
	d    time.Duration // lifetimeConstant
}

type lifetimeKind uint8

const (
	lifetimeConstant lifetimeKind = iota
	lifetimeFrom                  // from a header or member
	lifetimeJWT                   // the claim exp of the token
	lifetimeCookie                // Max-Age or Expires of the token's cookie
	lifetimeForever               // until refused
)

// parseLifetime reads a list of candidates; value says where the token comes
// from.
func parseLifetime(v yamldoc.Value, value []extractor) []lifetimeDecl {
	var list []lifetimeDecl
	for _, item := range v.List(true) {
		if l, ok := parseLifetimeItem(item, value); ok {
			list = append(list, l)
		}
	}
	if v.IsList() && len(v.List(false)) == 0 {
		v.Errorf("the list is empty; say until_refused when the vendor names no lifetime")
	}
	return list
}

func parseLifetimeItem(v yamldoc.Value, value []extractor) (l lifetimeDecl, ok bool) {
	if v.IsScalar() {
		text, _ := v.Text()
		if text == untilRefused {
			return lifetimeDecl{kind: lifetimeForever}, true
		}
		if near := yamldoc.DidYouMean(text, []string{untilRefused}); near != "" {
			v.Errorf("%q is no lifetime%s", text, near)
			return l, false
		}
		if _, err := time.ParseDuration(text); err != nil {
			v.Errorf("want a duration such as 30s, 5m or 1h30m, {json: PATH, as: seconds}, or until_refused")
			return l, false
		}
		d, ok := v.Duration(time.Second, maxLifetime)
		return lifetimeDecl{kind: lifetimeConstant, d: d}, ok
	}
	o := v.Object(lifetimeShape())
	switch {
	case !v.IsMap():
		return l, false
	case o.Has("jwt"):
		_, ok = o.OneOf("jwt")
		return lifetimeDecl{kind: lifetimeJWT}, ok && onlyKey(o, "jwt")
	case o.Has("cookie"):
		_, ok = o.OneOf("cookie")
		hasCookie := false
		for _, e := range value {
			hasCookie = hasCookie || e.cookie != ""
		}
		if ok && !hasCookie {
			o.Get("cookie").Errorf("the value is not taken from a cookie")
			ok = false
		}
		return lifetimeDecl{kind: lifetimeCookie}, ok && onlyKey(o, "cookie")
	}
	l = lifetimeDecl{kind: lifetimeFrom, from: parseExtractor(o, "json", "header")}
	o.Require("as")
	l.as, ok = o.OneOf("as")
	return l, ok
}

func onlyKey(o yamldoc.Object, key string) bool {
	for _, k := range lifetimeShape().Names() {
		if k != key && o.Has(k) {
			o.Get(k).Errorf("%s does not go with %s; for alternatives give a list", k, key)
			return false
		}
	}
	return true
}

// String names the candidate in messages.
func (l *lifetimeDecl) String() string {
	switch l.kind {
	case lifetimeForever:
		return untilRefused
	case lifetimeJWT:
		return "jwt exp"
	case lifetimeCookie:
		return "cookie max_age"
	case lifetimeFrom:
		return l.from.String() + " as " + l.as
	}
	return "constant " + l.d.String()
}

// lifetimeChoice is the outcome of going through the candidates.
type lifetimeChoice struct {
	d       time.Duration // 0: until refused
	from    string        // which candidate
	skipped []string      // why earlier candidates were not usable
	usable  bool          // false: none was, and d is the fallback
}

// chooseLifetime returns the first usable lifetime of a token that was
// received now.
func chooseLifetime(list []lifetimeDecl, a *answer, token string, cookie string, now time.Time) lifetimeChoice {
	var c lifetimeChoice
	for i := range list {
		l := &list[i]
		if l.kind == lifetimeForever {
			return lifetimeChoice{from: l.String(), skipped: c.skipped, usable: true}
		}
		d, why := l.measure(a, token, cookie, now)
		if why == "" {
			return lifetimeChoice{d: d, from: l.String(), skipped: c.skipped, usable: true}
		}
		c.skipped = append(c.skipped, l.String()+" "+why)
	}
	c.d, c.from = fallbackLifetime, "fallback"
	return c
}

// warning tells that no candidate was usable; "" when one was.
func (c *lifetimeChoice) warning() string {
	if c.usable {
		return ""
	}
	return fmt.Sprintf("no usable lifetime (%s); assuming %v", strings.Join(c.skipped, ", "), fallbackLifetime)
}

// measure returns the lifetime, or why it is not usable.
func (l *lifetimeDecl) measure(a *answer, token, cookie string, now time.Time) (time.Duration, string) {
	switch l.kind {
	case lifetimeConstant:
		return l.d, ""
	case lifetimeJWT:
		exp, ok := jwtExpiry(token)
		if !ok {
			return 0, "is missing"
		}
		return sane(exp - float64(now.UnixMilli())/1000)
	case lifetimeCookie:
		return cookieLifetime(a, cookie, now)
	}
	text, found, why := l.from.extract(a)
	if !found {
		return 0, strings.Replace(why, "it ", "", 1)
	}
	text = strings.TrimSpace(text)
	if l.as == "rfc3339" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return 0, "is no RFC 3339 time"
		}
		return sane(t.Sub(now).Seconds())
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) {
		return 0, "is no number"
	}
	switch l.as {
	case "milliseconds":
		n /= 1000
	case "minutes":
		n *= 60
	case "epoch":
		// 1e11 is the year 5138 in seconds and March 1973 in milliseconds.
		if n >= 1e11 {
			n /= 1000
		}
		n -= float64(now.UnixMilli()) / 1000
	}
	return sane(n)
}

// sane turns seconds into a lifetime, or says why they are none.
func sane(seconds float64) (time.Duration, string) {
	switch {
	case math.IsNaN(seconds):
		return 0, "is no number"
	case seconds < 0:
		return 0, "is negative or in the past"
	case seconds > maxLifetime.Seconds():
		return 0, "is more than 10 years"
	}
	d := time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	if d == 0 {
		return 0, "is zero"
	}
	return d, ""
}

// jwtExpiry returns the claim exp of a JWT (RFC 7519 section 4.1.4), in
// seconds. Nothing is verified: the value is a hint about when to renew.
func jwtExpiry(token string) (float64, bool) {
	_, rest, ok := strings.Cut(token, ".")
	if !ok {
		return 0, false
	}
	payload, _, ok := strings.Cut(rest, ".")
	if !ok {
		return 0, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return 0, false
	}
	first := firstJSON(claims)
	if first == nil || !gjson.ValidBytes(first) {
		return 0, false
	}
	exp := gjson.GetBytes(first, "exp")
	return exp.Float(), exp.Type == gjson.Number
}

// cookieLifetime reads Max-Age, which wins over Expires (RFC 6265 section
// 5.3).
func cookieLifetime(a *answer, name string, now time.Time) (time.Duration, string) {
	c := a.cookie(name)
	switch {
	case name == "" || c == nil:
		return 0, "is missing"
	case c.MaxAge != 0:
		return sane(float64(c.MaxAge)) // net/http: negative for Max-Age=0
	case !c.Expires.IsZero():
		return sane(c.Expires.Sub(now).Seconds())
	}
	return 0, "is missing"
}
