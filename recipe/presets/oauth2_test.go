package presets_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// assertion has a key for the recipes that sign JWTs with ES256, and more names
// and values.
func assertion(more ...string) map[string]string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return with(map[string]string{"token_url": "https://id.example.com/token", "private_key": pemOf(key)}, more...)
}

func pemOf(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// answering is a server that keeps the form of the last request.
type answering struct {
	status int
	body   string
	form   url.Values
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if a.form, err = url.ParseQuery(string(body)); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// A key of another kind than the recipe signs with is a mistake of the
// configuration.
func TestTheKeyHasToFit(t *testing.T) {
	for _, preset := range []string{"oauth2/private-key-jwt", "oauth2/private-key-jwt-ps256", "oauth2/jwt-bearer"} {
		r, _ := recipe.Preset(preset)
		origins := map[string]recipe.Origin{}
		for name, text := range assertion("client_id", "c", "issuer", "i") {
			if _, known := r.Param(name); known {
				origins[name] = recipe.Origin{Ref: secret.Literal(text)}
			}
		}
		rep := &yamldoc.Report{}
		recipe.Bind(rep, r, recipe.BindConfig{Name: "cred", With: origins})
		if err := rep.Err(); err == nil || !strings.Contains(err.Error(), "the key is ECDSA, which does not sign") {
			t.Errorf("%s: %v", preset, err)
		}
	}
}

// A server that calls the subject's token bad has the credential renewed that
// keeps it; what is wrong with the exchange itself does not.
func TestExchangeRefusesTheSubject(t *testing.T) {
	tests := []struct {
		status int
		body   string
		want   bool
	}{
		{400, `{"error":"invalid_request"}`, true},
		{400, `{"error":"invalid_grant"}`, true},
		{400, `{"error":"invalid_token"}`, true},
		{400, `{"error":"invalid_target"}`, false},
		{400, `{"error":"invalid_scope"}`, false},
		{401, `{"error":"invalid_client"}`, false},
		{500, `{"error":"invalid_request"}`, false},
	}
	for _, preset := range []string{"oauth2/token-exchange", "oauth2/token-exchange-post"} {
		login := bind(t, "oauth2/client-credentials", oauth2())
		r, _ := recipe.Preset(preset)
		origins := map[string]recipe.Origin{"subject_token": {Credential: "cred"}}
		for name, text := range oauth2() {
			origins[name] = recipe.Origin{Ref: secret.Literal(text)}
		}
		rep := &yamldoc.Report{}
		c, ok := recipe.Bind(rep, r, recipe.BindConfig{Name: "exchanged", With: origins, Lookup: func(string) *recipe.Credential { return login }})
		if !ok {
			t.Fatal(rep.Err())
		}
		in := refresher.Input{Parents: []refresher.Token{{Value: secret.New("subject-token")}}}
		for _, tt := range tests {
			server := &answering{status: tt.status, body: tt.body}
			_, err := token(t, c, "access").Source(server, "").Fetch(t.Context(), in)
			failed, ok := errors.AsType[*refresher.FetchError](err)
			if !ok || len(failed.Refused) == 1 != tt.want || server.form.Get("subject_token") != "subject-token" {
				t.Errorf("%s, %d %s: %v, refused %v, sent %v", preset, tt.status, tt.body, err, failed, server.form)
			}
		}
	}
}
