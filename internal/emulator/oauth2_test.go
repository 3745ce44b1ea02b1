package emulator

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	oauth2FormType = "Content-Type: application/x-www-form-urlencoded"
	oauth2Post     = "POST /oauth2/token"
)

// basic returns the header of HTTP Basic.
func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

var oauth2Basic = basic(OAuth2ClientID, OAuth2ClientSecret)

// oauth2Ask sends a form to the token endpoint, for the client.
func (b *bench) oauth2Ask(form string) answer {
	b.t.Helper()
	return b.ask(oauth2Post, form, oauth2FormType, oauth2Basic)
}

func (b *bench) oauth2Access() string {
	b.t.Helper()
	a := b.oauth2Ask("grant_type=client_credentials")
	if a.get("access_token") == "" {
		b.t.Fatalf("login: %s", a.body)
	}
	return a.get("access_token")
}

// challenge returns WWW-Authenticate, which is written like this on the wire.
func (a answer) challenge() string {
	for name, values := range a.header {
		if strings.EqualFold(name, "WWW-Authenticate") {
			return strings.Join(values, ", ")
		}
	}
	return ""
}

// unsigned returns a JWT with a signature that nobody made.
func unsigned(header, claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

// oauth2Claim returns a JWT for the token endpoint with one claim changed.
func oauth2Claim(iss, name, value string) string {
	claims := map[string]string{"iss": `"` + iss + `"`, "sub": `"` + iss + `"`, "aud": `"http://example.com/oauth2/token"`, "exp": "1700000060", "iat": "1700000000"}
	if name != "" {
		claims[name] = value
	}
	var members []string
	for name, value := range claims {
		members = append(members, fmt.Sprintf("%q:%s", name, value))
	}
	return unsigned(`{"alg":"RS256"}`, "{"+strings.Join(members, ",")+"}")
}

// Every grant that attache's recipes know, and the ways in which a client may
// say who it is.
func TestOAuth2Grants(t *testing.T) {
	b := start(t, OAuth2, Options{})
	inForm := "&client_id=" + OAuth2ClientID + "&client_secret=" + OAuth2ClientSecret
	proof := "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=" + oauth2Claim(OAuth2ClientID, "", "")
	subject := "grant_type=" + oauth2Exchange + "&subject_token_type=" + oauth2TypeOf + "&subject_token=" + b.oauth2Access()
	for _, tc := range []struct {
		name, form string
		headers    []string
		want       []string
	}{
		{"Basic", "grant_type=client_credentials&scope=a+b", []string{oauth2Basic}, []string{"token_type=Bearer", "expires_in=3600", "scope=a b", "refresh_token=-"}},
		{"Basic, form-encoded", "grant_type=client_credentials", []string{basic("s%68op", "shop%2Dsecret")}, []string{"token_type=Bearer", "scope=-"}},
		{"form", "grant_type=client_credentials" + inForm, nil, []string{"token_type=Bearer"}},
		{"empty parameters", "grant_type=client_credentials&scope=&client_assertion=" + inForm, nil, []string{"token_type=Bearer", "scope=-"}},
		{"id in both", "grant_type=client_credentials&client_id=shop", []string{oauth2Basic}, []string{"token_type=Bearer"}},
		{"two resources", "grant_type=client_credentials&resource=a&resource=b", []string{oauth2Basic}, []string{"token_type=Bearer"}},
		{"private key", "grant_type=client_credentials" + proof, nil, []string{"token_type=Bearer"}},
		{"password", "grant_type=password&username=anna&password=pass-word", []string{oauth2Basic}, []string{"token_type=Bearer", "expires_in=3600"}},
		{"refresh", "grant_type=refresh_token&refresh_token=" + OAuth2RefreshToken, []string{oauth2Basic}, []string{"scope=read write", "refresh_token=-"}},
		{"refresh, narrower", "grant_type=refresh_token&scope=read&refresh_token=" + OAuth2RefreshToken, []string{oauth2Basic}, []string{"scope=read"}},
		{"JWT alone", "grant_type=" + oauth2JWTBearer + "&assertion=" + oauth2Claim(OAuth2Issuer, "sub", `"anna"`), nil, []string{"token_type=Bearer"}},
		{"JWT with a list", "grant_type=" + oauth2JWTBearer + "&assertion=" + oauth2Claim(OAuth2Issuer, "aud", `["x","http://example.com/oauth2/token"]`), nil, []string{"token_type=Bearer"}},
		{"JWT and client", "grant_type=" + oauth2JWTBearer + "&assertion=" + oauth2Claim(OAuth2Issuer, "", "") + inForm, nil, []string{"token_type=Bearer"}},
		{"exchange", subject + "&audience=billing", []string{oauth2Basic}, []string{"issued_token_type=" + oauth2TypeOf, "token_type=Bearer"}},
	} {
		a := b.ask(oauth2Post, tc.form, append(tc.headers, oauth2FormType)...)
		b.want(tc.name, a, 200, append(tc.want, "error=-")...)
		if a.header.Get("Cache-Control") != "no-store" || a.get("access_token") == "" {
			t.Errorf("%s: want a token that nobody keeps: %v %s", tc.name, a.header, a.body)
		}
	}
}

// Errors are those of RFC 6749 section 5.2 and its like.
func TestOAuth2Refusals(t *testing.T) {
	const cc, rt = "grant_type=client_credentials", "grant_type=refresh_token&refresh_token="
	proof := func(name, value string) string {
		return cc + "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=" + oauth2Claim(OAuth2ClientID, name, value)
	}
	bearer := "grant_type=" + oauth2JWTBearer + "&assertion="
	exchange := "grant_type=" + oauth2Exchange + "&subject_token_type=" + oauth2TypeOf + "&subject_token="
	known := []string{oauth2FormType, oauth2Basic}
	for _, tc := range []struct {
		name, form string
		headers    []string
		status     int
		code       string
	}{
		{"no client", cc, []string{oauth2FormType}, 401, "invalid_client"},
		{"wrong secret", cc, []string{oauth2FormType, basic("shop", "x")}, 401, "invalid_client"},
		{"unknown client", cc, []string{oauth2FormType, basic("shoe", OAuth2ClientSecret)}, 401, "invalid_client"},
		{"Bearer for Basic", cc, []string{oauth2FormType, "Authorization: Bearer x"}, 401, "invalid_client"},
		{"bad encoding", cc, []string{oauth2FormType, basic("shop", "shop-secret%2")}, 401, "invalid_client"},
		{"two clients", cc + "&client_id=shoe", known, 401, "invalid_client"},
		{"two ways", cc + "&client_secret=shop-secret", known, 400, "invalid_request"},
		{"no form", cc, []string{"Content-Type: application/json", oauth2Basic}, 400, "invalid_request"},
		{"broken form", cc + "&x=%zz", known, 400, "invalid_request"},
		{"twice", cc + "&scope=a&scope=b", known, 400, "invalid_request"},
		{"too much", cc + "&x=" + strings.Repeat("x", maxBody), known, 400, "invalid_request"},
		{"no grant_type", "scope=a", known, 400, "invalid_request"},
		{"unknown grant_type", "grant_type=authorization_code", known, 400, "unsupported_grant_type"},
		{"scope", cc + "&scope=%22", known, 400, "invalid_scope"},
		{"a long scope", cc + "&scope=" + strings.Repeat("s", 1001), known, 400, "invalid_scope"},
		{"a space at the end", cc + "&scope=a+", known, 400, "invalid_scope"},
		{"two spaces", cc + "&scope=a++b", known, 400, "invalid_scope"},
		{"wrong password", "grant_type=password&username=anna&password=x", known, 400, "invalid_grant"},
		{"unknown user", "grant_type=password&username=bob&password=pass-word", known, 400, "invalid_grant"},
		{"no refresh token", rt, known, 400, "invalid_grant"},
		{"unknown refresh token", rt + "x", known, 400, "invalid_grant"},
		{"more than granted", rt + OAuth2RefreshToken + "&scope=admin", known, 400, "invalid_scope"},
		{"another client's proof", proof("iss", `"shoe"`), []string{oauth2FormType}, 401, "invalid_client"},
		{"proof of another", proof("sub", `"shoe"`), []string{oauth2FormType}, 401, "invalid_client"},
		{"proof for another server", proof("aud", `"http://example.org/oauth2/token"`), []string{oauth2FormType}, 401, "invalid_client"},
		{"proof that is over", proof("exp", "1700000000"), []string{oauth2FormType}, 401, "invalid_client"},
		{"proof from the future", proof("iat", "1700000060"), []string{oauth2FormType}, 401, "invalid_client"},
		{"proof of another type", strings.Replace(proof("", ""), "jwt-bearer", "saml", 1), []string{oauth2FormType}, 401, "invalid_client"},
		{"proof and secret", proof("", "") + "&client_secret=x", []string{oauth2FormType}, 400, "invalid_request"},
		{"no JWT", bearer + "x", []string{oauth2FormType}, 400, "invalid_grant"},
		{"unsigned", bearer + unsigned(`{"alg":"none"}`, `{}`), []string{oauth2FormType}, 400, "invalid_grant"},
		{"unknown issuer", bearer + oauth2Claim("someone", "", ""), []string{oauth2FormType}, 400, "invalid_grant"},
		{"a long sub", bearer + oauth2Claim(OAuth2Issuer, "sub", `"`+strings.Repeat("s", 1001)+`"`), []string{oauth2FormType}, 400, "invalid_grant"},
		{"unknown client beside a JWT", bearer + oauth2Claim(OAuth2Issuer, "", "") + "&client_id=shoe", []string{oauth2FormType}, 401, "invalid_client"},
		{"unknown subject_token", exchange + "x", known, 400, "invalid_request"},
		{"refresh token as subject_token", exchange + OAuth2RefreshToken, known, 400, "invalid_request"},
		{"no subject_token_type", "grant_type=" + oauth2Exchange + "&subject_token=x", known, 400, "invalid_request"},
		{"another type wanted", exchange + "x&requested_token_type=x", known, 400, "invalid_request"},
	} {
		b := start(t, OAuth2, Options{})
		a := b.ask(oauth2Post, tc.form, tc.headers...)
		b.want(tc.name, a, tc.status, "error="+tc.code, "access_token=-")
		if challenge := a.challenge(); (challenge != "") != (tc.status == 401) {
			t.Errorf("%s: WWW-Authenticate is %q", tc.name, challenge)
		}
	}
}

// The API says what RFC 6750 has it say, and whose token it was.
func TestOAuth2Calls(t *testing.T) {
	b := start(t, OAuth2, Options{TTL: time.Minute})
	call := func(token string) answer {
		b.t.Helper()
		return b.ask("POST /api/orders?x=1", "{}", "Authorization: Bearer "+token)
	}
	b.want("login by GET", b.ask("GET /oauth2/token?grant_type=client_credentials", "", oauth2FormType, oauth2Basic), 400, "error=invalid_request")
	b.want("unknown path", b.ask("GET /", ""), 404)
	first := b.oauth2Access()
	b.want("good", call(first), 200, "client_id=shop", "sub=shop", "path=/api/orders", "exp=1700000060")
	second := b.oauth2Ask("grant_type=password&username=anna&password=pass-word&scope=mail").get("access_token")
	b.want("anna's", call(second), 200, "client_id=shop", "sub=anna", "scope=mail")
	for what, a := range map[string]answer{"none": b.ask("GET /api/", ""), "Basic": b.ask("GET /api/", "", oauth2Basic)} {
		if a.status != 401 || a.challenge() != `Bearer realm="emulator"` {
			t.Errorf("%s: want a challenge without an error: %d %v", what, a.status, a.header)
		}
	}
	refused := func(what string, a answer) {
		t.Helper()
		b.want(what, a, 401, "error=invalid_token")
		if !strings.Contains(a.challenge(), `Bearer realm="emulator", error="invalid_token"`) {
			t.Errorf("%s: %v", what, a.header)
		}
	}
	refused("unknown", call("x"))
	refused("a refresh token", call(OAuth2RefreshToken))
	b.act(Action{Do: Kick, Kind: "access", Owner: "shop/anna"})
	refused("kicked", call(second))
	b.want("not kicked", call(first), 200)
	b.set(func(s *Settings) { s.API.Fault = FaultDeny })
	b.want("denied", call(first), 403, "error=insufficient_scope")
	b.set(func(s *Settings) { s.API, s.Login.Fault = Trouble{}, FaultDeny })
	b.want("client denied", b.oauth2Ask("grant_type=client_credentials"), 401, "error=invalid_client")
	b.set(func(s *Settings) { s.Login.Fault = FaultThrottle })
	b.want("throttled", b.oauth2Ask("grant_type=client_credentials"), 429, "error=temporarily_unavailable")
	b.advance(time.Minute)
	refused("expired", call(first))
}

// A refresh token that rotates is good for one use, and the second use ends the
// session.
func TestOAuth2Rotation(t *testing.T) {
	b := start(t, OAuth2, Options{})
	refresh := func(token string) answer { return b.oauth2Ask("grant_type=refresh_token&refresh_token=" + token) }
	b.want("again and again", refresh(OAuth2RefreshToken), 200)
	b.set(func(s *Settings) { s.OAuth2.Rotate = true })
	a := refresh(OAuth2RefreshToken)
	next := a.get("refresh_token")
	if next == "" || next == OAuth2RefreshToken {
		t.Fatalf("want another refresh token: %s", a.body)
	}
	b.want("the next", refresh(next), 200, "scope=read write")
	access := "Authorization: Bearer " + a.get("access_token")
	b.want("before", b.ask("GET /api/", "", access), 200)
	b.want("second use", refresh(next), 400, "error=invalid_grant")
	b.want("after", b.ask("GET /api/", "", access), 401)
	own := b.oauth2Access()
	b.want("the client's own", b.ask("GET /api/", "", "Authorization: Bearer "+own), 200)
}

func TestOAuth2IntrospectionAndRevocation(t *testing.T) {
	b := start(t, OAuth2, Options{})
	about := func(token string) answer {
		return b.ask("POST /oauth2/introspect", "token="+url.QueryEscape(token), oauth2FormType, oauth2Basic)
	}
	revoke := func(token string) answer {
		return b.ask("POST /oauth2/revoke", "token="+url.QueryEscape(token), oauth2FormType, oauth2Basic)
	}
	first, second := b.oauth2Access(), b.oauth2Access()
	b.want("good", about(first), 200, "active=true", "client_id=shop", "exp=1700003600")
	b.want("refresh token", about(OAuth2RefreshToken), 200, "active=true", "sub=anna", "exp=-")
	b.want("unknown", about("x"), 200, "active=false", "sub=-")
	b.want("no client", b.ask("POST /oauth2/introspect", "token="+first, oauth2FormType), 401, "error=invalid_client")
	b.want("no token", about(""), 400, "error=invalid_request")
	b.want("revoke nothing", revoke(""), 400, "error=invalid_request")
	b.want("revoke", revoke(first), 200)
	b.want("revoke again", revoke(first), 200)
	b.want("revoke the unknown", revoke("x"), 200)
	b.want("revoked", about(first), 200, "active=false")
	b.want("another of the same client", about(second), 200, "active=true")
	third := b.oauth2Ask("grant_type=refresh_token&refresh_token=" + OAuth2RefreshToken).get("access_token")
	b.want("revoke the session", revoke(OAuth2RefreshToken), 200)
	b.want("its access token", about(third), 200, "active=false")
}
