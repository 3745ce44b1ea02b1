package recipe

import (
	"slices"
	"strconv"
	"strings"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// grpcCodes returns the names of gRPC's status codes in their order, 0 to 16,
// as recipes have them.
func grpcCodes() []string {
	return []string{
		"ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
		"permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range",
		"unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
	}
}

// grpcTest says which codes of grpc-status match: bit i stands for code i. 0: it
// is not looked at.
type grpcTest uint32

// parseGRPC reads a code, by number or by name, or a list of those.
func parseGRPC(v yamldoc.Value) grpcTest {
	if v.IsZero() {
		return 0
	}
	if v.IsList() && len(v.List(false)) == 0 {
		v.Errorf("the list is empty, so nothing could match")
	}
	names := grpcCodes()
	var t grpcTest
	for _, item := range v.List(true) {
		text, ok := item.Text()
		if !ok {
			continue
		}
		code, err := strconv.Atoi(text)
		if err != nil {
			code = slices.Index(names, strings.ToLower(text)) // gRPC writes them in capitals
		}
		switch {
		case code == 0:
			item.Errorf("0 (ok) is how every call ends that went well; it refuses nothing")
		case code < 0 || code >= len(names):
			item.Errorf("%q is no status code of gRPC; want a number from 1 to 16, or a name such as unauthenticated%s",
				shorten(text, 20), yamldoc.DidYouMean(text, names))
		default:
			t |= 1 << code
		}
	}
	return t
}

// checkGRPC reports what cannot stand together with grpc in rule o.
func checkGRPC(o yamldoc.Object) {
	for _, key := range []string{"json", "text"} {
		if o.Has("grpc") && o.Has(key) {
			o.Get(key).Errorf("the body of a gRPC answer is never looked at; leave out grpc or %s", key)
		}
	}
}

// noGRPC reports grpc in a matcher of logins, which are no gRPC calls.
func noGRPC(o yamldoc.Object) {
	if v := o.Get("grpc"); !v.IsZero() {
		v.Errorf("grpc is for refused alone: a login is no gRPC call; use status, header, json or text")
	}
}

// match looks for grpc-status in the header, where an answer without messages
// has it, then in the trailer.
func (t grpcTest) match(a *answer) bool {
	code, err := strconv.ParseUint(grpcText(a), 10, 5)
	return err == nil && t&(1<<code) != 0
}

// grpcText returns the status of a call as it is sent; "" when there is none.
func grpcText(a *answer) string {
	if text := grpcStatus(a.header); text != "" {
		return text
	}
	return grpcStatus(a.trailer)
}

// String shows the test in messages: `unauthenticated`, `one of …`.
func (t grpcTest) String() string {
	var words []string
	for code, name := range grpcCodes() {
		if t&(1<<code) != 0 {
			words = append(words, name)
		}
	}
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ")
}

func grpcStatus(header exchange.Getter) string {
	if header == nil {
		return ""
	}
	return header.Get("Grpc-Status")
}
