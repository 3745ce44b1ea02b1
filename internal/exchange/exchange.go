// Package exchange is the plain data that the proxy and the recipe language
// share: what a request or an answer looks like ([Head]), what is added to a
// request ([Field]) and what an answer means for the tokens that the request
// carried ([Verdict]). It knows neither net/http nor YAML, so that both sides
// can be tested without a server and whatever moves the bytes may change.
package exchange

import (
	"time"

	"attache/internal/secret"
)

// Place says where in a request a named value stands.
type Place uint8

// The places of a named value.
const (
	Header Place = iota
	Query
	Cookie
)

// String returns "header", "query" or "cookie", the words of recipes and
// configuration.
func (p Place) String() string {
	switch p {
	case Query:
		return "query"
	case Cookie:
		return "cookie"
	}
	return "header"
}

// Name is the place and the name of a value, as written in a recipe. Header
// names compare without case; query and cookie names exactly.
type Name struct {
	In   Place
	Name string
}

// Field is a value to be put into a request. Value is as it stands on the
// wire: for a query it is already percent-encoded.
type Field struct {
	In    Place
	Name  string
	Value string
	// IfAbsent: the field gives way to exactly one value of exactly this name
	// that the client sent.
	IfAbsent bool
}

// Getter reads header fields; [net/http.Header] is one. Get returns the first
// value or "", Values all of them in order. Names are given in canonical form
// (textproto.CanonicalMIMEHeaderKey).
type Getter interface {
	Get(name string) string
	Values(name string) []string
}

// Head is the head of a request, or of an answer when Status is not 0. For the
// request it is what goes upstream, after stripping and before injection,
// except where a function says that it takes the client's.
type Head struct {
	Method   string // requests only
	Host     string // requests only
	Path     string // requests only: raw, as sent, without query
	RawQuery string // requests only: raw, as sent
	Status   int    // answers only
	Header   Getter // never nil
	// Trailer is for answers only: the fields that followed the body, or nil
	// as long as it has not ended.
	Trailer Getter
}

// Signal says by which part of an answer a refusal showed itself; it is a
// metric label.
type Signal uint8

// The signals of a refusal.
const (
	SignalStatus Signal = iota // status or header
	SignalBody                 // JSON or text of the body
	SignalLogin                // the answer to a login that needs the token
	SignalGRPC                 // grpc-status
)

// String returns the label's value: status, body, login or grpc.
func (s Signal) String() string {
	return [...]string{"status", "body", "login", "grpc"}[s]
}

// Refusal says that an answer means "this token is bad".
type Refusal struct {
	Slot   int // which of the route's tokens
	Signal Signal
}

// Renewal is a new token value found in an ordinary answer. It passed the
// checks that every token passes (legal in a header, bounded in size).
type Renewal struct {
	Slot     int // which of the route's tokens
	Value    secret.String
	Lifetime time.Duration // 0: lives until refused
}

// Verdict is what an answer means for the tokens of its request. The zero
// value means: nothing, pass it on. An answer may refuse one token of each
// credential.
type Verdict struct {
	Refused []Refusal
	Renewed []Renewal
}

// BodyWant says whether the body of an answer has to be looked at.
type BodyWant uint8

// What of an answer's body could still matter.
const (
	NoBody   BodyWant = iota // nothing
	JSONBody                 // the first JSON value, if the body starts like JSON
	TextBody                 // the text, whatever it starts with
)

// ParamError says that a parameter that the request has to give is missing or
// does not match. Its text never repeats the value.
type ParamError struct {
	Name Name   // where the request gives it
	Text string // safe to show to the client: "is missing", "does not match ^.{1,32}$"
}

func (e *ParamError) Error() string {
	return e.Name.In.String() + " " + e.Name.Name + " " + e.Text
}
