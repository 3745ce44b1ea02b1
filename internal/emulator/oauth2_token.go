package emulator

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	oauth2JWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	oauth2Exchange  = "urn:ietf:params:oauth:grant-type:token-exchange"
	// oauth2Longest bounds what of a request is kept with a token, in bytes.
	oauth2Longest = 1000
	oauth2TypeOf  = "urn:ietf:params:oauth:token-type:access_token"
)

// oauth2Token answers the token endpoint for a client that is known.
func oauth2Token(c *call, f map[string]string, rep *reply) (wrong string) {
	g := &grant{owner: owner{"access", OAuth2ClientID}, scope: f["scope"]}
	// Words of RFC 6749 section 3.3, with a space between two.
	last := rune(' ')
	if len(g.scope) > oauth2Longest {
		return "invalid_scope it is too long"
	}
	for _, r := range g.scope + " " {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == ' ' && last == ' ' && g.scope != "" {
			return "invalid_scope it is malformed"
		}
		last = r
	}
	more := ""
	switch f["grant_type"] {
	case "":
		return "invalid_request grant_type is missing"
	case "client_credentials":
	case "password":
		if f["username"] != OAuth2User || f["password"] != OAuth2Password {
			return "invalid_grant unknown user, or wrong password"
		}
		g.user = OAuth2User
		more = oauth2NewRefresh(c, g)
	case "refresh_token":
		more, wrong = oauth2Refresh(c, f, g)
	case oauth2JWTBearer:
		if g.user, wrong = oauth2JWT(c, f["assertion"], OAuth2Issuer); wrong != "" {
			wrong = "invalid_grant " + wrong
		}
		g.owner.name = OAuth2Issuer
	case oauth2Exchange:
		more, wrong = oauth2Trade(c, f, g)
	default:
		return "unsupported_grant_type the server does not know it"
	}
	if wrong == "" {
		oauth2Issue(c, g, more, rep)
	}
	return wrong
}

// oauth2Issue answers with an access token, and more members of JSON.
func oauth2Issue(c *call, g *grant, more string, rep *reply) {
	life := c.ttl(oauth2TTL)
	if g.user != "" {
		g.owner.name += "/" + g.user
	}
	g.value, g.expires = c.opaque("", 43), c.now.Add(life)
	g = c.obtain(order{fresh: g})
	if g.scope != "" {
		more += `,"scope":"` + g.scope + `"`
	}
	rep.kind, rep.token = "access", g.value
	rep.body = `{"access_token":"` + g.value + `","token_type":"Bearer"` +
		c.set.Lifetime.member("expires_in", 0, int64(life/time.Second), 1, false) + more + "}"
}

// oauth2NewRefresh returns a refresh token for the user of g, as a member of JSON.
func oauth2NewRefresh(c *call, g *grant) string {
	who := owner{"refresh", OAuth2ClientID + "/" + g.user}
	fresh := &grant{value: c.e.text(43), owner: who, user: g.user, scope: g.scope}
	c.e.ledger.obtain(order{fresh: fresh}, c.now)
	c.e.counts.issued.add(who.kind, 1)
	return `,"refresh_token":"` + fresh.value + `"`
}

// oauth2Refresh makes g a token of the session of a refresh token. One that is
// good for one use is taken for stolen when it comes again: then all of its
// session ends, here all tokens of the account.
func oauth2Refresh(c *call, f map[string]string, g *grant) (more, wrong string) {
	old, k := c.e.ledger.check(f["refresh_token"], c.now)
	if old == nil || old.owner.kind != "refresh" {
		return "", "invalid_grant unknown refresh token"
	}
	granted := strings.Fields(old.scope)
	if slices.ContainsFunc(strings.Fields(g.scope), func(word string) bool { return !slices.Contains(granted, word) }) {
		return "", "invalid_scope more than was granted"
	}
	g.user, g.scope = old.user, cmp.Or(g.scope, old.scope)
	// Under its lock the ledger lets one request alone end the token.
	end := func(one *grant) bool { return one == old && one.end(rotated, c.now, c.now) }
	if k == live && (!c.set.OAuth2.Rotate || c.e.ledger.selectTokens("refresh", old.owner.name, 0, end) == 1) {
		if c.set.OAuth2.Rotate {
			more = oauth2NewRefresh(c, old)
		}
		return more, ""
	}
	if k == live || k == rotated {
		c.e.ledger.selectTokens("", old.owner.name, 0, func(one *grant) bool { return one.end(kicked, c.now, c.now) })
	}
	return "", "invalid_grant the refresh token has ended"
}

// oauth2Trade makes g a token in exchange for another one, RFC 8693.
func oauth2Trade(c *call, f map[string]string, g *grant) (more, wrong string) {
	if cmp.Or(f["requested_token_type"], oauth2TypeOf) != oauth2TypeOf {
		return "", "invalid_request there are access tokens only"
	}
	old, k := c.e.ledger.check(f["subject_token"], c.now)
	if k != live || old.owner.kind != "access" || f["subject_token_type"] != oauth2TypeOf {
		return "", "invalid_request subject_token is no good access token"
	}
	g.user, g.scope = old.user, cmp.Or(g.scope, old.scope)
	return `,"issued_token_type":"` + oauth2TypeOf + `"`, ""
}

// oauth2About returns whose token it is, as members of JSON.
func oauth2About(g *grant) string {
	client, user, _ := strings.Cut(g.owner.name, "/")
	sub, _ := json.Marshal(cmp.Or(user, client)) // a string: cannot fail
	text := `"client_id":"` + client + `","sub":` + string(sub) + `,"scope":"` + g.scope + `"`
	if !g.expires.IsZero() {
		text += `,"exp":` + strconv.FormatInt(g.expires.Unix(), 10)
	}
	return text
}

// oauth2API answers what the tokens are for with whose token it was.
func oauth2API(c *call, rep *reply) (wrong string, why reason) {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return " ", missing
	}
	g, k := c.e.ledger.check(token, c.now)
	if g != nil && g.owner.kind != "access" {
		k = unknown
	}
	if why = k.reason(); why != fine {
		return "invalid_token it is " + why.String(), why
	}
	path, _ := json.Marshal(c.path) // a string: cannot fail
	rep.body = "{" + oauth2About(g) + `,"path":` + string(path) + "}"
	return "", fine
}
