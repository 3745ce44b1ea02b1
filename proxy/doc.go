// Package proxy is the data plane: it takes an application's plain requests,
// adds the tokens that each upstream wants, and repairs answers that refuse
// them. What stands around that is here as well: who may call, what a client may
// hold, and the hand-out of tokens to processes that cannot use a proxy.
//
// # The way of a request
//
// [Bounds] limits what the clients of a listener may hold and ends those that
// stall. Behind it [Guard] keeps browsers of foreign sites away, and [Callers]
// asks who calls. Then a [Proxy] finds the route by host and path, removes every
// spelling of the names that the route injects, takes the tokens from their
// instances, adds them to the outgoing request and sends it by the route's
// [Transport]. The answer is judged: by its head, by a bounded part of its body
// where a rule could still match, and, of gRPC, by its trailer. A refusal rejects
// exactly the token that was used and, once there is a new one, the request is
// sent again, at most once for each token. A renewed token is offered to its
// instance. Everything else streams through untouched.
//
// [Leaving], right behind the bounds, tells clients to go elsewhere before the
// listener closes, and [Streams] ends what never ends by itself. Both are for
// whoever stops a process or replaces a part of it.
//
// [Handout] stands in the place of a Proxy on a listener of its own. It gives
// the tokens themselves, and nothing else here does.
//
// # Towards the upstream
//
// A Transport speaks HTTP/1.1 by package http1, and HTTP/2, or whatever goes
// through another proxy, by net/http. It bounds how often either sends a request
// (sending), ends uploads that nobody wants any more (leavable), and passes
// interim answers on (interim).
//
// # What is decided where
//
// What to inject, what to strip and what an answer means are decisions of a
// [Plan], data in and data out. Where requests go, what is removed and what is
// replayed are decided by functions on strings, headers and the types of package
// exchange, in files of their own (path, query, cookie, strip, jsonend, replay).
// None of them moves a byte, so another way of moving the bytes can share every
// decision.
//
// # Security
//
// The client chooses neither scheme nor host of the upstream. Nothing that it
// sends can remove, replace or double an injected name: names are stripped from
// headers, query, cookies and trailers, and injected last, after hop-by-hop
// fields were removed. Tokens appear in no answer made here but those of
// Handout, and in no log.
package proxy
