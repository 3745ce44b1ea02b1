// Package http1 is HTTP/1.1 (RFC 9112): a client for one upstream, and the reading of
// plain requests.
//
// # The client
//
// It exists because [http.Transport] spends two goroutines and several wake-ups on each
// request. [Client.Do] takes requests of net/http's kind. One without a body, or with
// one that is at hand, runs on the goroutine that asks for it, from the first byte to
// the last: the answer's body reads from the connection itself. Any other body is sent
// by one goroutine while the caller reads the answer.
//
// [Client.Send] takes a [Message], whose bytes are at hand, on a [Trip], which can be
// used again: no request, header map or goroutine is made, hardly a deadline set, and
// with a plain socket no buffer held while an answer is waited for. A trip that finds that an answer needs more
// ([Trip.Plain]) becomes what Do would have returned ([Trip.Response]). Both share the
// idle connections, the reading of heads and framing, and the rules for sending again
// what an idle connection swallowed; head.go, fields.go, conn.go and pool.go are theirs
// together.
//
// # Requests
//
// [HeadEnd] and [RequestHead] read the head of a request, and [RequestBody] its body,
// for a server that hands everything unusual to another ([ErrUnusual]).
//
// # What it owns
//
// The package owns what is on the wire and the idle connections. It knows nothing of
// names, TLS settings or proxies, for which Config.Dial stands, and it decides nothing:
// it adds no header of its own but Host, those that frame the message and the connection
// option that goes with TE, follows no redirect, decodes no content.
//
// Both requests and answers are read more strictly than net/http reads them. Whatever
// two readers could take for different messages is refused with a [*ProtocolError]:
// lines that do not end in CRLF, folded fields, spaces before a colon, more than one
// length. A connection to the upstream on which anything arrived that was not asked for
// is never used again.
package http1
