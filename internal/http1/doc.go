// Package http1 is an HTTP/1.1 client for one upstream (RFC 9112). It exists
// because [http.Transport] spends two goroutines and several wake-ups on each
// request. Here a request without a body, or with one that is at hand, runs on
// the goroutine that asks for it, from the first byte to the last: the answer's
// body reads from the connection itself. Any other body is sent by one goroutine
// while the caller reads the answer.
//
// The package owns what is on the wire and the idle connections. It knows
// nothing of names, TLS settings or proxies, for which Config.Dial stands, and
// it decides nothing: it adds no header of its own but Host, those that frame the
// message and the connection option that goes with TE, follows no redirect,
// decodes no content.
//
// Answers are read more strictly than net/http reads them. Whatever two readers
// could take for different messages is refused: lines that do not end in CRLF,
// folded fields, spaces before a colon, more than one length. A connection on
// which anything arrived that was not asked for is never used again.
package http1
