package exchange

import "strings"

// IsHop reports whether a header field, given by its canonical name, is for one
// connection only (RFC 9110 section 7.6.1). Proxy-Authorization is among them:
// it is for attache, whoever sends it.
func IsHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// IsFraming reports whether a header field, given by its canonical name, says
// where a request goes or where it ends. Package net/http keeps these outside
// the header.
func IsFraming(name string) bool { return name == "Host" || name == "Content-Length" }

// OfConnection reports whether a header field, given by its canonical name,
// belongs to the connection or frames the message: a proxy consumes it, so its
// value can be neither read, stripped nor injected. Expect is among them, which
// every hop answers for itself (RFC 9110 section 10.1.1).
func OfConnection(name string) bool { return IsHop(name) || IsFraming(name) || name == "Expect" }

// Fold returns the name under which all spellings of n are one: those that some
// server may take for the same. Names of all places are the same whatever their
// case. Gateways of the CGI family turn every byte of a header's name that is no
// letter or digit into "_", so Access_Token would pass for access-token there;
// such a byte becomes "-".
func Fold(n Name) Name {
	if n.In != Header {
		return Name{In: n.In, Name: strings.ToLower(n.Name)}
	}
	folded := make([]byte, len(n.Name))
	for i := range len(n.Name) {
		folded[i] = FoldByte(n.Name[i])
	}
	return Name{In: Header, Name: string(folded)}
}

// FoldByte is [Fold] for one byte of a header's name.
func FoldByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

// IsToken reports whether text is a token of RFC 9110 section 5.6.2, as
// methods and the names of headers and cookies are.
func IsToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return text != ""
}
