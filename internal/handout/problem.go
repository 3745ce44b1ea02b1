package handout

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// Error types of RFC 9209 section 2.3.
const (
	errRequest     = "http_request_error"
	errUnavailable = "destination_unavailable"
	errNotFound    = "destination_not_found"
)

// problem is an answer without a token, as RFC 9457 describes it. It looks like
// those of the proxy, which this package does not know. It holds nothing that a
// token server sent.
type problem struct {
	status                       int
	kind, detail                 string
	credential, class, parameter string
	retryAfter                   time.Duration // 0: no Retry-After
	allow                        string
}

// Error implements error.
func (p *problem) Error() string { return p.detail }

func notFound(detail string) *problem {
	return &problem{status: http.StatusNotFound, kind: errNotFound, detail: detail}
}

func badParam(err error) *problem {
	p := &problem{status: http.StatusBadRequest, kind: errRequest, detail: "a parameter of the request is not usable"}
	if e, ok := errors.AsType[*exchange.ParamError](err); ok {
		p.detail, p.parameter = e.Error(), e.Name.Name
	}
	return p
}

// noToken says why an instance gave no token.
func noToken(t Token, err error) *problem {
	if errors.Is(err, errSpent) {
		return &problem{status: http.StatusTooManyRequests, kind: errRequest, credential: t.Credential, class: "refusals", retryAfter: spentFor,
			detail: fmt.Sprintf("the token %s.%s was refused too often of late, or its login gave the refused token again; it stays in use", t.Credential, t.Name)}
	}
	if e, ok := errors.AsType[*refresher.LimitError](err); ok {
		return &problem{status: http.StatusTooManyRequests, kind: errRequest, credential: t.Credential, class: e.Reason,
			retryAfter: max(e.RetryAfter, time.Second), detail: fmt.Sprintf("credential %s is at its limit of %s", t.Credential, e.Reason)}
	}
	p := &problem{status: http.StatusServiceUnavailable, kind: errUnavailable, credential: t.Credential, retryAfter: time.Second,
		class: refresher.Transient.String()}
	if e, ok := errors.AsType[*refresher.UnavailableError](err); ok {
		p.class, p.retryAfter = e.Class.String(), max(e.RetryAfter, time.Second)
	}
	p.detail = fmt.Sprintf("no usable token of credential %s came in time (%s)", t.Credential, p.class)
	return p
}

// write sends the answer, without body if it is one to HEAD.
func (p *problem) write(w http.ResponseWriter, head bool) {
	body, err := json.Marshal(struct {
		Type       string `json:"type"`
		Title      string `json:"title"`
		Status     int    `json:"status"`
		Detail     string `json:"detail"`
		Credential string `json:"credential,omitempty"`
		Class      string `json:"class,omitempty"`
		Parameter  string `json:"parameter,omitempty"`
	}{"about:blank", http.StatusText(p.status), p.status, p.detail, p.credential, p.class, p.parameter})
	if err != nil { // strings and numbers always marshal
		body = []byte("{}")
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Proxy-Status", "attache; error="+p.kind)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	w.WriteHeader(p.status)
	if !head {
		w.Write(append(body, '\n')) // the client may be gone; nobody is left to be told
	}
}
