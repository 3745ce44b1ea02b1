// Package handout hands tokens themselves to processes that cannot send their
// requests through the proxy:
//
//	GET /token/CREDENTIAL[.TOKEN][?not=GENERATION]
//
// With not the caller says that an upstream refused that generation: it is
// renewed, within the budget of refusals, and the next one is answered. Every
// hand-out leaves a line in the log, which never has the value.
package handout

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

const (
	// prefix is in front of the name of a credential.
	prefix = "/token/"
	// refusedBy is the name under which refusals are counted.
	refusedBy = "handout"
	// wait bounds how long a request waits for a token.
	wait = 5 * time.Second
	// spentFor is when the budget of refusals has a unit again at the latest.
	spentFor = 30 * time.Second
)

// Token is one that is handed out.
type Token struct {
	Credential, Name string
	Pool             *refresher.Pool
	// Params returns the values that a request gives to the pool; nil: it takes
	// none. A value that is missing or does not match is an
	// *[exchange.ParamError].
	Params func(client exchange.Head) (refresher.Params, error)
}

// Config configures a [Handler].
type Config struct {
	// Tokens are all that may be handed out; those of a credential stand
	// together.
	Tokens []Token
	// Log gets a line for each hand-out; must be set.
	Log *slog.Logger
	// Who returns who asks, for the log; nil: the address alone.
	Who func(*http.Request) []slog.Attr
}

// Handler is an [http.Handler] that hands out tokens. It asks nobody who they
// are: that is for what stands before it. It is immutable and safe for
// concurrent use; make one with [New].
type Handler struct {
	byCredential map[string][]Token
	log          *slog.Logger
	who          func(*http.Request) []slog.Attr
}

// New returns a handler.
func New(cfg Config) *Handler {
	h := &Handler{byCredential: map[string][]Token{}, log: cfg.Log, who: cfg.Who}
	for _, t := range cfg.Tokens {
		h.byCredential[t.Credential] = append(h.byCredential[t.Credential], t)
	}
	if h.who == nil {
		h.who = func(r *http.Request) []slog.Attr { return []slog.Attr{slog.String("remote", r.RemoteAddr)} }
	}
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, token, err := h.handOut(r)
	if err != nil {
		own, ok := errors.AsType[*problem](err)
		if !ok {
			own = &problem{status: http.StatusInternalServerError, kind: "proxy_internal_error", detail: "the token could not be handed out"}
		}
		own.write(w, r.Method == http.MethodHead)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK) // without Content-Length, which would tell that of the value
		return
	}
	body, err := json.Marshal(newHanded(t, token))
	if err != nil { // texts and numbers always marshal
		(&problem{status: http.StatusInternalServerError, kind: "proxy_internal_error", detail: "the token could not be handed out"}).write(w, false)
		return
	}
	attrs := append([]slog.Attr{
		slog.String("credential", t.Credential), slog.String("token", t.Name), slog.Uint64("generation", token.Generation),
	}, h.who(r)...)
	// Before it leaves: what is not in the log was not handed out.
	h.log.LogAttrs(r.Context(), slog.LevelInfo, "token handed out", attrs...)
	w.Write(append(body, '\n'))
}

// handed is the answer.
type handed struct {
	Credential string `json:"credential"`
	Token      string `json:"token"`
	Value      string `json:"value"`
	ExpiresIn  *int64 `json:"expires_in,omitempty"` // absent: lives until it is refused
	Generation uint64 `json:"generation"`
}

func newHanded(t Token, token refresher.Token) handed {
	a := handed{Credential: t.Credential, Token: t.Name, Value: token.Value.Reveal(), Generation: token.Generation}
	if !token.ExpiresAt.IsZero() {
		left := max(int64(time.Until(token.ExpiresAt)/time.Second), 0)
		a.ExpiresIn = &left
	}
	return a
}

// handOut returns what a request asks for. Errors are *problem.
func (h *Handler) handOut(r *http.Request) (t Token, token refresher.Token, err error) {
	name, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok {
		return t, token, notFound("tokens are at " + prefix + "CREDENTIAL")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return t, token, &problem{status: http.StatusMethodNotAllowed, kind: errRequest, detail: "only GET and HEAD are allowed", allow: "GET, HEAD"}
	}
	if t, err = h.find(name); err != nil {
		return t, token, err
	}
	not, err := refusedGeneration(r.URL)
	if err != nil {
		return t, token, err
	}
	var params refresher.Params
	if t.Params != nil {
		params, err = t.Params(exchange.Head{
			Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: r.Header,
		})
		if err != nil {
			return t, token, badParam(err)
		}
	}
	in, err := t.Pool.Instance(params)
	if err != nil {
		return t, token, noToken(t, err)
	}
	defer in.Release()
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	token, err = take(ctx, in, not)
	if err != nil {
		return t, token, noToken(t, err)
	}
	return t, token, nil
}

// find returns the token of a name, CREDENTIAL or CREDENTIAL.TOKEN.
func (h *Handler) find(name string) (Token, error) {
	credential, token, dotted := strings.Cut(name, ".")
	tokens := h.byCredential[credential]
	switch {
	case len(tokens) == 0:
		return Token{}, notFound("no credential of this name is handed out")
	case dotted:
		i := slices.IndexFunc(tokens, func(t Token) bool { return t.Name == token })
		if i < 0 {
			return Token{}, notFound("the credential " + credential + " has no token of this name; it has " + names(tokens))
		}
		return tokens[i], nil
	case len(tokens) > 1:
		return Token{}, &problem{status: http.StatusBadRequest, kind: errRequest, credential: credential,
			detail: "the credential has several tokens; ask for one of " + names(tokens)}
	}
	return tokens[0], nil
}

// names lists tokens as they are asked for.
func names(tokens []Token) string {
	var list []string
	for _, t := range tokens {
		list = append(list, t.Credential+"."+t.Name)
	}
	return strings.Join(list, ", ")
}

// refusedGeneration returns the generation that an upstream refused, or nil.
func refusedGeneration(u *url.URL) (*uint64, error) {
	values, given := u.Query()["not"]
	if !given {
		return nil, nil
	}
	n, err := strconv.ParseUint(values[0], 10, 64)
	if err != nil || len(values) > 1 {
		return nil, &problem{status: http.StatusBadRequest, kind: errRequest, parameter: "not",
			detail: "not must be given once, and be the generation of a token that was handed out"}
	}
	return &n, nil
}

// errSpent says that the token that the caller does not want stays in service.
var errSpent = errors.New("no other token")

// take returns the token of an instance. The generation not, if it is still the
// current one, is renewed first; with any other there is nothing to do, since
// the caller does not have the current one.
func take(ctx context.Context, in *refresher.Instance, not *uint64) (refresher.Token, error) {
	refused := not != nil && in.Status().Generation == *not
	if cur, ok := in.Peek(); ok && refused && cur.Generation == *not {
		in.Reject(cur, refresher.Cause{By: refusedBy, Signal: exchange.SignalStatus})
	}
	t, err := in.Token(ctx)
	if err == nil && refused && t.Generation == *not { // over budget, or the login gave it again
		return refresher.Token{}, errSpent
	}
	return t, err
}
