package proxy

import (
	"net/http"
	"net/textproto"
	"strings"

	"attache/internal/exchange"
)

// isHop reports whether a field, given by its canonical name, is for one
// connection only.
func isHop(key string) bool { return exchange.IsHop(key) }

// isFraming reports whether net/http keeps a field outside the header map.
func isFraming(key string) bool { return exchange.IsFraming(key) }

// ofConnection reports whether a client's field, given by its canonical name, is
// for the connection or frames the message, in whatever spelling. Behind a server
// that takes "_" for "-" a Content_Length or a Transfer_Encoding could end the
// message at another place, and what follows would be a request that nobody here
// has seen.
func ofConnection(key string) bool {
	for i := range len(key) {
		if c := key[i]; c != '-' && exchange.FoldByte(c) == '-' {
			key = http.CanonicalHeaderKey(foldHeader(key))
			break
		}
	}
	return isHop(key) || isFraming(key)
}

// connectionFields returns the canonical names of the fields that a Connection
// header declares to be for one connection only; nil if there are none.
func connectionFields(connection []string) map[string]struct{} {
	var fields map[string]struct{}
	for _, line := range connection {
		for option := range strings.SplitSeq(line, ",") {
			switch option = textproto.TrimString(option); option {
			case "", "close", "keep-alive", "Keep-Alive", "Upgrade", "upgrade":
				continue // names of no field, or of one that goes anyway
			}
			if fields == nil {
				fields = map[string]struct{}{}
			}
			fields[http.CanonicalHeaderKey(option)] = struct{}{}
		}
	}
	return fields
}

// hasToken reports whether a comma-separated header field lists token.
func hasToken(values []string, token string) bool {
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			item, _, _ = strings.Cut(item, ";")
			if strings.EqualFold(textproto.TrimString(item), token) {
				return true
			}
		}
	}
	return false
}

// upgradeKind says what the Upgrade header of a request asks for.
type upgradeKind uint8

const (
	noUpgrade  upgradeKind = iota // none, or one that is not passed on
	webSocket                     // to be passed
	badUpgrade                    // to be refused
)

// upgradeOf decides on a request's Upgrade header. Only a plain WebSocket
// handshake passes. h2c is refused: an upstream that switched would carry
// requests past every rule here. So is a handshake with a body: where that ends
// the other protocol would begin, and opinions on that place differ. Any other
// protocol is an offer that a server may ignore, and the header does not go
// upstream.
func upgradeOf(r *http.Request) upgradeKind {
	upgrade := r.Header["Upgrade"]
	if len(upgrade) == 0 {
		return noUpgrade
	}
	if hasToken(upgrade, "h2c") || hasToken(upgrade, "h2") {
		return badUpgrade
	}
	if !hasToken(upgrade, "websocket") || !hasToken(r.Header["Connection"], "upgrade") {
		return noUpgrade
	}
	if r.Method != http.MethodGet || r.ContentLength != 0 || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return badUpgrade
	}
	return webSocket
}

// isGRPC reports whether a content type is gRPC's. gRPC-Web, which travels as
// ordinary HTTP, is not.
func isGRPC(contentType string) bool {
	const kind = "application/grpc"
	if len(contentType) < len(kind) || !strings.EqualFold(contentType[:len(kind)], kind) {
		return false
	}
	rest := contentType[len(kind):]
	return rest == "" || rest[0] == '+' || rest[0] == ';'
}

// isGRPCCall reports whether a client makes a gRPC call, which takes HTTP/2.
func isGRPCCall(r *http.Request) bool {
	return r.ProtoMajor == 2 && isGRPC(r.Header.Get("Content-Type"))
}
