package emulator

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// What the oauth2 emulator accepts: one client, one user, one service account,
// and a refresh token of the user that somebody has obtained before.
const (
	OAuth2ClientID     = "shop"
	OAuth2ClientSecret = "shop-secret"
	OAuth2User         = "anna"
	OAuth2Password     = "pass-word"
	OAuth2Issuer       = "robot@example.com"
	OAuth2RefreshToken = "sample-refresh-token"
)

// oauth2TTL is the emulator's choice; RFC 6749 only has 3600 in its samples.
const oauth2TTL = time.Hour

const oauth2Assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// OAuth2Settings are the switches of the authorization server.
type OAuth2Settings struct {
	// Rotate makes each refresh token good for one use. A second use ends the
	// whole session, as RFC 9700 section 4.14.2 has it.
	Rotate bool `json:"rotate"`
}

func oauth2Surfaces(e *Emulator) []*surface {
	who := owner{"refresh", OAuth2ClientID + "/" + OAuth2User}
	e.ledger.obtain(order{fresh: &grant{value: OAuth2RefreshToken, owner: who, user: OAuth2User, scope: "read write"}}, e.now())
	return []*surface{{
		name: OAuth2, prefix: "/" + OAuth2,
		jsonType:  "application/json",
		login:     func(c *call) (string, bool) { return "access", c.path == "/token" },
		serve:     oauth2Serve,
		down:      reply{status: http.StatusInternalServerError, body: `{"error":"server_error"}`},
		throttled: reply{body: `{"error":"temporarily_unavailable"}`},
		denied: func(_ *call, login bool, _ string) reply {
			if login {
				return oauth2Refuse("invalid_client it was disabled", badCredential)
			}
			return oauth2Refuse("insufficient_scope the token does not allow this", forbidden)
		},
	}}
}

// oauth2Refuse answers with an error: its code, a space, and its description.
// RFC 6749 section 5.2 says how for the endpoints, RFC 6750 section 3 for the
// API; there a request without a token has no code.
func oauth2Refuse(wrong string, why reason) reply {
	code, text, _ := strings.Cut(wrong, " ")
	rep := reply{status: http.StatusUnauthorized, reason: why, body: `{"error":"` + code + `","error_description":"` + text + `"}`}
	challenge := `Bearer realm="emulator"`
	switch code {
	case "":
		rep.body = "{}"
	case "invalid_client":
		challenge = `Basic realm="emulator"`
	case "invalid_token", "insufficient_scope":
		challenge += `, error="` + code + `"`
	default:
		rep.status, challenge = http.StatusBadRequest, ""
	}
	if why == forbidden {
		rep.status = http.StatusForbidden
	}
	if challenge != "" {
		rep.header = [][2]string{{"WWW-Authenticate", challenge}}
	}
	return rep
}

func oauth2Serve(c *call) (rep reply) {
	var wrong string
	why := badRequest
	switch c.path {
	case "/token", "/introspect", "/revoke":
		if wrong = oauth2Endpoint(c, &rep); strings.HasPrefix(wrong, "invalid_client") || strings.HasPrefix(wrong, "invalid_grant") {
			why = badCredential
		}
	default:
		if wrong = " "; strings.HasPrefix(c.path, "/api/") {
			wrong, why = oauth2API(c, &rep)
		} else {
			return reply{status: http.StatusNotFound, body: "{}", reason: notFound}
		}
	}
	if wrong != "" {
		rep = oauth2Refuse(wrong, why)
	}
	rep.header = append(rep.header, [2]string{"Cache-Control", "no-store"})
	return rep
}

// oauth2Endpoint answers what a client asks of the authorization server, and
// says what is wrong with it.
func oauth2Endpoint(c *call, rep *reply) (wrong string) {
	f, wrong := oauth2Form(c)
	if wrong != "" {
		return wrong
	}
	// A JWT may come from nobody in particular: it says itself who sends it.
	anonymous := f["grant_type"] == oauth2JWTBearer && c.r.Header["Authorization"] == nil && f["client_id"]+f["client_secret"]+f["client_assertion"] == ""
	if wrong = oauth2Authenticate(c, f); wrong != "" && !(anonymous && c.path == "/token") {
		return wrong
	}
	if c.path == "/token" {
		return oauth2Token(c, f, rep)
	}
	if f["token"] == "" {
		return "invalid_request token is missing"
	}
	g, k := c.e.ledger.check(f["token"], c.now)
	switch {
	case c.path == "/introspect" && k == live: // RFC 7662
		rep.body = `{"active":true,` + oauth2About(g) + "}"
	case c.path == "/introspect":
		rep.body = `{"active":false}`
	case g != nil: // RFC 7009; an unknown token is none of the client's worries
		// A refresh token takes its session along.
		c.e.ledger.selectTokens("", g.owner.name, 0, func(one *grant) bool {
			return (one == g || g.owner.kind == "refresh") && one.end(kicked, c.now, c.now)
		})
	}
	return ""
}

// oauth2Form reads the form of a request, in which each parameter stands once
// and an empty one counts as absent (RFC 6749 section 3.2).
func oauth2Form(c *call) (f map[string]string, wrong string) {
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	data, err := c.body()
	if c.r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" || err != nil {
		return nil, "invalid_request want POST and application/x-www-form-urlencoded"
	}
	values, err := url.ParseQuery(string(data))
	f = map[string]string{}
	for name, v := range values {
		f[name] = v[0]
		if len(v) > 1 && name != "resource" && name != "audience" { // RFC 8707, RFC 8693
			return nil, "invalid_request a parameter stands there twice"
		}
	}
	if err != nil {
		wrong = "invalid_request the form is broken"
	}
	return f, wrong
}

// oauth2Authenticate takes HTTP Basic of the form-encoded id and secret, both in
// the form, or a JWT, and only one of them (RFC 6749 section 2.3).
func oauth2Authenticate(c *call, f map[string]string) (wrong string) {
	id, secret, proof := f["client_id"], f["client_secret"], f["client_assertion"]
	ways := 0
	if secret != "" {
		ways++
	}
	if c.r.Header["Authorization"] != nil {
		ways++
		user, password, _ := c.r.BasicAuth()
		user, e1 := url.QueryUnescape(user)
		password, e2 := url.QueryUnescape(password)
		if e1 == nil && e2 == nil && cmp.Or(id, user) == user {
			id, secret = user, password
		}
	}
	if proof != "" {
		ways++
		var sub string
		if sub, wrong = oauth2JWT(c, proof, OAuth2ClientID); sub == OAuth2ClientID && cmp.Or(id, sub) == sub && f["client_assertion_type"] == oauth2Assertion {
			id, secret = sub, OAuth2ClientSecret
		}
	}
	if ways > 1 {
		return "invalid_request the client proves itself in two ways"
	}
	if id != OAuth2ClientID || secret != OAuth2ClientSecret {
		return "invalid_client " + cmp.Or(wrong, "unknown client, or wrong secret")
	}
	return ""
}

// jwtClaim returns a claim as the JSON has it, without the quotes of a string.
func jwtClaim(claims []byte, name string) string {
	return strings.Trim(gjson.GetBytes(claims, name).Raw, `"`)
}

// oauth2JWT returns the subject of a JWT of an issuer, or says what is wrong
// with it (RFC 7523 section 3). Its signature is not checked: the emulator knows
// nobody's key.
func oauth2JWT(c *call, token, issuer string) (subject, wrong string) {
	header, claims, _, _, _ := splitJWT(token)
	if alg := jwtClaim(header, "alg"); len(alg) != 5 || alg[0] == 'H' {
		return "", "no JWT that a private key signed"
	}
	if jwtClaim(claims, "iss") != issuer {
		return "", "iss is unknown"
	}
	// One text, or one among several.
	if !strings.Contains(`"`+gjson.GetBytes(claims, "aud").Raw+`"`, `"http://`+c.r.Host+c.r.URL.Path+`"`) {
		return "", "aud is not this endpoint"
	}
	for _, moment := range []string{"exp", "iat", "nbf"} {
		at, _ := strconv.ParseInt(jwtClaim(claims, moment), 10, 64)
		if left := at - c.now.Unix(); moment == "exp" && left <= 0 || moment != "exp" && left > 5 {
			return "", moment + " is wrong"
		}
	}
	if subject = jwtClaim(claims, "sub"); len(subject) > oauth2Longest {
		return "", "sub is too long"
	}
	return subject, ""
}
