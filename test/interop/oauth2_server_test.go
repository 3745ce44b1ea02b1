package interop

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-oauth2/oauth2/v4"
	oauth2errors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
)

// oauth2Authority is an authorization server of go-oauth2, with an API behind
// it. The library knows clients by Basic and by form, and asks handlers for all
// else: those for JWTs are made of go-jose here.
type oauth2Authority struct {
	url     string // where it listens; set before the first request
	keys    map[string]crypto.Signer
	manager *manage.Manager

	mu   sync.Mutex
	last string          // the token that the API accepted last
	jtis map[string]bool // of JWTs, each of which counts once
}

func newOAuth2Authority(t testing.TB, keys map[string]crypto.Signer) *oauth2Authority {
	t.Helper()
	o := &oauth2Authority{keys: keys, manager: manage.NewDefaultManager(), jtis: map[string]bool{}}
	clients := store.NewClientStore()
	for _, c := range []*models.Client{
		{ID: "urn:app 1", Secret: "a+b/c=%&: é"}, {ID: "app+2", Secret: "a+b/c=%&: é"}, {ID: "public", Public: true}, {ID: "signing", Secret: "proved-by-jwt"},
	} {
		if err := clients.Set(c.ID, c); err != nil {
			t.Fatal(err)
		}
	}
	o.manager.MapClientStorage(clients)
	tokens, err := store.NewMemoryTokenStore()
	if err != nil {
		t.Fatal(err)
	}
	o.manager.MapTokenStorage(tokens)
	return o
}

// ServeHTTP answers /token/METHOD and /api/whoami.
func (o *oauth2Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, isToken := strings.CutPrefix(r.URL.Path, "/token/")
	if !isToken {
		o.api(w, r)
		return
	}
	if alg, isGrant := strings.CutPrefix(method, "bearer-"); isGrant {
		o.jwtBearer(w, r, alg)
		return
	}
	s := server.NewServer(server.NewConfig(), o.manager)
	switch method {
	case "basic":
		s.SetClientInfoHandler(decodedBasic)
	case "unescaped":
		s.SetClientInfoHandler(server.ClientBasicHandler) // it decodes nothing
	case "form":
		s.SetClientInfoHandler(formAlone)
	default:
		s.SetClientInfoHandler(func(r *http.Request) (string, string, error) { return o.proved(r, method) })
	}
	s.SetPasswordAuthorizationHandler(func(_ context.Context, _, username, password string) (string, error) {
		if username != "anna" || password != "p&w 1" {
			return "", oauth2errors.ErrInvalidGrant
		}
		return username, nil
	})
	_ = s.HandleTokenRequest(w, r) // an error is in the answer
}

// api is what the tokens are for. It refuses as RFC 6750 section 3 has it.
func (o *oauth2Authority) api(w http.ResponseWriter, r *http.Request) {
	s := server.NewServer(server.NewConfig(), o.manager)
	info, err := s.ValidationBearerToken(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="interop", error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	o.mu.Lock()
	o.last = info.GetAccess()
	o.mu.Unlock()
	fmt.Fprintf(w, "%s/%s/%s", info.GetClientID(), info.GetUserID(), info.GetScope())
}

// used returns the token that the API accepted last.
func (o *oauth2Authority) used() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// decodedBasic is RFC 6749 section 2.3.1 to the letter.
func decodedBasic(r *http.Request) (id, secret string, err error) {
	id, secret, err = server.ClientBasicHandler(r)
	if err != nil {
		return "", "", err
	}
	if r.Form.Has("client_id") || r.Form.Has("client_secret") { // one method alone
		return "", "", oauth2errors.ErrInvalidRequest
	}
	if id, err = url.QueryUnescape(id); err != nil {
		return "", "", oauth2errors.ErrInvalidClient
	}
	if secret, err = url.QueryUnescape(secret); err != nil {
		return "", "", oauth2errors.ErrInvalidClient
	}
	return id, secret, nil
}

func formAlone(r *http.Request) (id, secret string, err error) {
	if r.Header.Get("Authorization") != "" {
		return "", "", oauth2errors.ErrInvalidRequest
	}
	return server.ClientFormHandler(r)
}

// proved takes a client assertion (RFC 7523 section 2.2) for the client's secret.
func (o *oauth2Authority) proved(r *http.Request, alg string) (id, secret string, err error) {
	if r.Form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || len(r.Form["client_assertion"]) != 1 {
		return "", "", oauth2errors.ErrInvalidClient
	}
	claims, err := o.verify(r, r.Form.Get("client_assertion"), alg)
	if err != nil || claims.Issuer != claims.Subject || claims.Subject != r.Form.Get("client_id") {
		return "", "", oauth2errors.ErrInvalidClient
	}
	return claims.Subject, "proved-by-jwt", nil
}

// jwtBearer is the grant of RFC 7523 section 2.1, which the library does not
// know. The token is the library's.
func (o *oauth2Authority) jwtBearer(w http.ResponseWriter, r *http.Request, alg string) {
	s := server.NewServer(server.NewConfig(), o.manager)
	claims, err := o.verify(r, r.FormValue("assertion"), alg)
	if err != nil || r.Form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(r.Form["assertion"]) != 1 {
		http.Error(w, fmt.Sprintf(`{"error":"invalid_grant","error_description":"%v"}`, err), http.StatusBadRequest)
		return
	}
	info, err := o.manager.GenerateAccessToken(r.Context(), oauth2.PasswordCredentials, &oauth2.TokenGenerateRequest{
		ClientID: claims.Issuer, ClientSecret: "proved-by-jwt", UserID: claims.Subject, Scope: r.Form.Get("scope"), Request: r,
	})
	if err != nil {
		http.Error(w, `{"error":"server_error"}`, http.StatusInternalServerError)
		return
	}
	data := s.GetTokenData(info)
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, data["access_token"], data["expires_in"])
}

// verify checks a JWT of the client signing: signature, audience, times, and
// that it was not seen before.
func (o *oauth2Authority) verify(r *http.Request, text, alg string) (*jwt.Claims, error) {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, err
	}
	key := o.keys["RSA"]
	if alg == "ES256" {
		key = o.keys["EC"]
	}
	claims := &jwt.Claims{}
	if err := token.Claims(key.Public(), claims); err != nil {
		return nil, err
	}
	expected := jwt.Expected{Issuer: "signing", AnyAudience: jwt.Audience{o.url + r.URL.Path}, Time: time.Now()}
	if err := claims.Validate(expected); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if claims.ID == "" || o.jtis[claims.ID] || claims.Expiry == nil || claims.IssuedAt == nil {
		return nil, fmt.Errorf("jti %q was seen, or there is no exp or iat", claims.ID)
	}
	o.jtis[claims.ID] = true
	return claims, nil
}
