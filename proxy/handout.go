package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

const (
	// handoutPath is followed by the name of a credential, or of one of its
	// tokens: CREDENTIAL or CREDENTIAL.TOKEN.
	handoutPath = "/token/"
	// handoutCause is the name under which refusals told here are counted: they
	// have a budget of their own, beside those of the routes, none of which may
	// have this name. It stands in logs.
	handoutCause = "hand-out listener"
	// handoutRetry is when a unit of that budget is back at the latest.
	handoutRetry = 30 * time.Second
)

// HandoutToken is a token that may be handed out.
type HandoutToken struct {
	// Credential and Token are its name; unique.
	Credential, Token string
	Pool              *refresher.Pool
	// Params returns the values that the request gives to the pool, in the
	// pool's order. Errors are *[exchange.ParamError]. Nil: the pool takes none.
	Params func(client exchange.Head) (refresher.Params, error)
}

// Handout is an [http.Handler] that gives tokens themselves to processes that
// cannot use a proxy. It knows nobody: who may ask is for [Callers], or for the
// permissions of a socket. It is immutable and safe for concurrent use.
//
//	GET /token/CREDENTIAL[.TOKEN]
//
// answers with a [HandedOut]. With the query not=GENERATION a token is asked for
// that is not of this generation: if it is the current one still, it is taken for
// refused and renewed. Such renewals are bounded like those that refusals cause on
// a route; beyond the bound the answer is 429.
type Handout struct {
	tokens map[string][]HandoutToken // by credential
	wait   time.Duration
	log    *slog.Logger
}

// HandedOut is what a caller gets, as JSON.
type HandedOut struct {
	Credential string `json:"credential"`
	Token      string `json:"token"`
	Value      string `json:"value"`
	// ExpiresIn is the time left in whole seconds, rounded down; absent for a
	// token that lives until it is refused.
	ExpiresIn *int64 `json:"expires_in,omitempty"`
	// Generation grows with every new value; it goes into "not".
	Generation uint64 `json:"generation"`
}

// NewHandout returns a handler for these tokens. A request waits for a token at
// most as long as wait. Everything that is handed out leaves a line in log, with
// the caller's name and without the value.
func NewHandout(tokens []HandoutToken, wait time.Duration, log *slog.Logger) *Handout {
	h := &Handout{tokens: map[string][]HandoutToken{}, wait: wait, log: log}
	for _, t := range tokens {
		h.tokens[t.Credential] = append(h.tokens[t.Credential], t)
	}
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handout) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, own := h.serve(r)
	answerEarly(w, r, func() {
		if own != nil {
			own.write(w, false)
			return
		}
		header := w.Header()
		header["Cache-Control"] = []string{"no-store"}
		header["Content-Type"] = []string{"application/json"}
		header["X-Content-Type-Options"] = []string{"nosniff"}
		w.Write(out)
	})
}

// serve returns the body of the answer, or why there is none.
func (h *Handout) serve(r *http.Request) ([]byte, *answer) {
	name, ok := strings.CutPrefix(r.URL.Path, handoutPath)
	if !ok {
		return nil, &answer{status: http.StatusNotFound, kind: errNotFound, detail: "tokens are at " + handoutPath + "CREDENTIAL"}
	}
	if r.Method != http.MethodGet {
		return nil, &answer{status: http.StatusMethodNotAllowed, kind: errRequest, allow: http.MethodGet, detail: "a token is read with GET"}
	}
	token, own := h.find(name)
	if own != nil {
		return nil, own
	}
	not, own := notGeneration(r.URL.RawQuery)
	if own != nil {
		return nil, own
	}
	t, own := h.token(r, token, not)
	if own != nil {
		return nil, own
	}
	out := HandedOut{Credential: token.Credential, Token: token.Token, Value: t.Value.Reveal(), Generation: t.Generation}
	if !t.ExpiresAt.IsZero() {
		left := max(int64(time.Until(t.ExpiresAt)/time.Second), 0)
		out.ExpiresIn = &left
	}
	body, err := json.Marshal(out)
	if err != nil { // strings and numbers always marshal
		return nil, internalError()
	}
	h.audit(r, token, t.Generation)
	return append(body, '\n'), nil
}

// audit notes who got what. A user of the token is not named.
func (h *Handout) audit(r *http.Request, token HandoutToken, generation uint64) {
	attrs := []any{"credential", token.Credential, "token", token.Token, "generation", generation}
	if caller := CallerName(r.Context()); caller != "" {
		attrs = append(attrs, "caller", caller)
	}
	if peer, ok := PeerOf(r.Context()); ok {
		attrs = append(attrs, "uid", peer.UID, "pid", peer.PID)
	} else {
		attrs = append(attrs, "remote", r.RemoteAddr)
	}
	h.log.Info("token handed out", attrs...)
}

// find returns the token of that name.
func (h *Handout) find(name string) (HandoutToken, *answer) {
	credential, token, exact := strings.Cut(name, ".")
	tokens := h.tokens[credential]
	var names []string
	for _, t := range tokens {
		if exact && t.Token == token || !exact && len(tokens) == 1 {
			return t, nil
		}
		names = append(names, t.Credential+"."+t.Token)
	}
	if len(tokens) == 0 {
		return HandoutToken{}, &answer{status: http.StatusNotFound, kind: errNotFound, detail: "no credential of this name is handed out"}
	}
	own := badRequest(fmt.Sprintf("credential %s has several tokens; ask for one of %s", credential, strings.Join(names, ", ")))
	if exact {
		own.status = http.StatusNotFound
		own.detail = fmt.Sprintf("credential %s has no such token; ask for one of %s", credential, strings.Join(names, ", "))
	}
	own.credential = credential
	return HandoutToken{}, own
}

// notGeneration reads the query parameter of that name; 0 when it is not there.
func notGeneration(rawQuery string) (uint64, *answer) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return 0, badRequest("the query cannot be parsed")
	}
	values, ok := query["not"]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(values[0], 10, 64)
	if err != nil || n == 0 || len(values) > 1 {
		own := badRequest(`"not" must be the number of a generation`)
		own.parameter = "not"
		return 0, own
	}
	return n, nil
}

// token waits for a token that is not of the generation not.
func (h *Handout) token(r *http.Request, token HandoutToken, not uint64) (refresher.Token, *answer) {
	var params refresher.Params
	if token.Params != nil {
		var err error
		params, err = token.Params(exchange.Head{
			Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: r.Header,
		})
		if e, ok := errors.AsType[*exchange.ParamError](err); ok {
			return refresher.Token{}, badParam(e)
		} else if err != nil {
			return refresher.Token{}, badRequest("a parameter of the request is not usable")
		}
	}
	instance, err := token.Pool.Instance(params)
	if err != nil {
		return refresher.Token{}, tokenFailure(token.Credential, err)
	}
	defer instance.Release()
	ctx, cancel := context.WithTimeout(r.Context(), h.wait)
	defer cancel()
	t, err := instance.Token(ctx)
	if err == nil && t.Generation == not {
		cause := refresher.Cause{By: handoutCause, Signal: exchange.SignalStatus}
		if instance.Reject(t, cause) == refresher.OverBudget {
			return refresher.Token{}, noOther(token, not)
		}
		if t, err = instance.Token(ctx); err == nil && t.Generation == not { // the login gave it again
			return refresher.Token{}, noOther(token, not)
		}
	}
	if err != nil {
		return refresher.Token{}, tokenFailure(token.Credential, err)
	}
	return t, nil
}

// noOther says that there is no other token for now, so that an answer of status
// 200 never has the one that the caller does not want.
func noOther(token HandoutToken, not uint64) *answer {
	return &answer{status: http.StatusTooManyRequests, kind: errRequest,
		detail:     fmt.Sprintf("credential %s has no other token for now; generation %d stays in use", token.Credential, not),
		credential: token.Credential, class: refresher.OverBudget.String(), retryAfter: handoutRetry}
}
