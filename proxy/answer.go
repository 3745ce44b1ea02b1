package proxy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// Error types of RFC 9209 section 2.3 that answers made here carry.
const (
	errUnavailable   = "destination_unavailable"
	errNotFound      = "destination_not_found"
	errRequest       = "http_request_error"
	errDenied        = "http_request_denied"
	errDNS           = "dns_error"
	errDialTimeout   = "connection_timeout"
	errRefused       = "connection_refused"
	errTerminated    = "connection_terminated"
	errAnswerTimeout = "http_response_timeout"
	errProtocol      = "http_protocol_error"
	errUpgrade       = "http_upgrade_failed"
	errTLS           = "tls_protocol_error"
	errCertificate   = "tls_certificate_error"
	errInternal      = "proxy_internal_error"
)

// answer is an answer that attache makes itself. It holds nothing that an
// upstream or a token server sent, and no secret.
type answer struct {
	status int
	kind   string // an error type of RFC 9209
	detail string
	// What it is about, if anything.
	credential, class, parameter string

	retryAfter time.Duration // 0: no Retry-After
	allow      string        // Allow
	grpc       int           // the status that a gRPC client gets; 0: that which status stands for
	challenge  string        // Proxy-Authenticate
}

// Error implements error.
func (a *answer) Error() string { return a.detail }

func badRequest(detail string) *answer {
	return &answer{status: http.StatusBadRequest, kind: errRequest, detail: detail}
}

func badParam(e *exchange.ParamError) *answer {
	a := badRequest(e.Error())
	a.parameter = e.Name.Name
	return a
}

func noRoute() *answer {
	return &answer{status: http.StatusNotFound, kind: errNotFound, detail: "no route matches the host and path"}
}

func wrongMethod(allow string) *answer {
	return &answer{status: http.StatusMethodNotAllowed, kind: errRequest, allow: allow,
		detail: "the route does not take this method"}
}

// tokenFailure turns the engine's error about a token into the answer: noToken,
// or tooMany over a limit.
func tokenFailure(credential string, err error) *answer {
	if limit, ok := errors.AsType[*refresher.LimitError](err); ok {
		return tooMany(credential, limit)
	}
	class, wait := refresher.Transient, time.Duration(0)
	if e, ok := errors.AsType[*refresher.UnavailableError](err); ok {
		class, wait = e.Class, e.RetryAfter
	}
	return noToken(credential, class.String(), wait)
}

// noToken is never 401: to the application that would be its own token.
func noToken(credential, class string, wait time.Duration) *answer {
	return &answer{status: http.StatusServiceUnavailable, kind: errUnavailable,
		detail:     fmt.Sprintf("no usable token of credential %s came in time (%s)", credential, class),
		credential: credential, class: class, retryAfter: max(wait, time.Second)}
}

func tooMany(credential string, e *refresher.LimitError) *answer {
	return &answer{status: http.StatusTooManyRequests, kind: errRequest,
		detail:     fmt.Sprintf("credential %s is at its limit of %s", credential, e.Reason),
		credential: credential, class: e.Reason, retryAfter: max(e.RetryAfter, time.Second)}
}

func badGateway(kind, detail string) *answer {
	return &answer{status: http.StatusBadGateway, kind: kind, detail: detail}
}

func internalError() *answer {
	return &answer{status: http.StatusInternalServerError, kind: errInternal,
		detail: "the request could not be built from the credentials' values"}
}

// problem is an RFC 9457 problem; the last three members are ours.
type problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Detail     string `json:"detail"`
	Credential string `json:"credential,omitempty"`
	Class      string `json:"class,omitempty"`
	Parameter  string `json:"parameter,omitempty"`
}

// write sends the answer: as problem details, or to a gRPC client as an answer
// of trailers alone.
func (a *answer) write(w http.ResponseWriter, grpc bool) {
	h := w.Header()
	h["Proxy-Status"] = []string{"attache; error=" + a.kind}
	h["Cache-Control"] = []string{"no-store"}
	if a.retryAfter > 0 {
		seconds := int64(math.Ceil(a.retryAfter.Seconds()))
		h["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	}
	if a.allow != "" {
		h["Allow"] = []string{a.allow}
	}
	if a.challenge != "" {
		h["Proxy-Authenticate"] = []string{a.challenge}
	}
	if grpc {
		h["Content-Type"] = []string{"application/grpc"}
		h["Grpc-Status"] = []string{a.grpcStatus()}
		h["Grpc-Message"] = []string{grpcMessage(a.detail)}
		w.WriteHeader(http.StatusOK)
		return
	}
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(a.status), Status: a.status, Detail: a.detail,
		Credential: a.credential, Class: a.class, Parameter: a.parameter,
	})
	if err != nil { // strings and numbers always marshal
		body = []byte("{}")
	}
	body = append(body, '\n')
	h["Content-Type"] = []string{"application/problem+json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(a.status)
	w.Write(body) // the client may be gone; nobody is left to be told
}

// grpcStatus returns the status that a gRPC client gets.
func (a *answer) grpcStatus() string { return strconv.Itoa(cmp.Or(a.grpc, grpcStatus(a.status))) }

// grpcStatus maps a status of ours to gRPC's.
func grpcStatus(status int) int {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return 3 // INVALID_ARGUMENT
	case http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return 12 // UNIMPLEMENTED
	case http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusProxyAuthRequired:
		return 16 // UNAUTHENTICATED
	}
	return 14 // UNAVAILABLE
}

// grpcMessage percent-encodes a text as gRPC wants it in Grpc-Message: all but
// printable ASCII, and the percent sign.
func grpcMessage(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
