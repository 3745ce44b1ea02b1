// Package proxy is the data plane: it takes an application's plain requests,
// adds the tokens that each upstream wants, and repairs answers that refuse
// them. What stands around that is here as well: who may call, what a client may
// hold, and the hand-out of tokens to processes that cannot use a proxy.
//
// # The way of a request
//
// [Bounds] limits what the clients of a listener may hold and ends those that
// stall. Behind it [Guard] keeps browsers of foreign sites away, and [Callers]
// asks who calls; a [Front] is these three and the [Proxy]. The Proxy finds the
// route by host and path, removes every spelling of the names that the route
// injects, takes the tokens from their instances, adds them to the outgoing request
// and sends it by the route's [Transport]. The answer is judged: by its head, by a
// bounded part of its body where a rule could still match, and, of gRPC, by its
// trailer. A refusal rejects exactly the token that was used and, once there is a
// new one, the request is sent again, at most once for each token. A renewed token
// is offered to its instance. Everything else streams through untouched.
//
// [Leaving], right behind the bounds, tells clients to go elsewhere before the
// listener closes, and [Streams] ends what never ends by itself. Both are for
// whoever stops a process or replaces a part of it.
//
// [Handout] stands in the place of a Proxy on a listener of its own. It gives
// the tokens themselves, and nothing else here does.
//
// # Two lanes
//
// The standard lane is [Front.Handler] behind a server of net/http. It takes every
// request that there is.
//
// The express lane, [Express], is for what most requests are: plain HTTP/1.1. One
// goroutine for each connection reads a head, writes what goes upstream and passes
// the answer on, without a request, a header map or a writer of net/http's kind.
// There are two ways on it:
//
//   - The short way (call.express) is for requests without a body or with a short one
//     that is here, and for answers of a known length that can be judged by what of
//     them is here.
//   - The long way makes a request and a writer of net/http's kind for the same
//     connection, and goes on in the code of the standard lane: in call.converse where
//     the answer asks for more, in the whole handler where the body of the request is
//     not here or somebody may not call.
//
// A request that asks for more than either (http1.ErrUnusual, expressConn.isPlain) is
// handed over before anything of it was consumed: the connection, with what was read
// of it, is the server's of net/http from then on, for good. What is ambiguous is
// refused.
//
// The lanes must not drift apart. What a request means is decided once, by what both
// call: find, prepare, params, session.begin, takeFields, wantsBody, session.settle,
// record. What is written twice is the way from decisions to bytes, and whoever changes
// the one changes the other: writeRequest and appendFields are request and outgoing,
// judgeExpress is judge, appendAnswer is copyHead and what net/http's server adds to it,
// expressConn.finish is finish. FuzzLanes compares what
// they do.
//
// Which file is about what: front, express, expressconn (connections, TLS, drain),
// expresscall (a request, the short way), expresslong (the long way), expressrelay
// (bytes, either direction), expresswriter (answers on the long way), watch (clients
// that leave), handover.
//
// # Towards the upstream
//
// A Transport speaks HTTP/1.1 by package http1, and HTTP/2, or whatever goes
// through another proxy, by net/http. It bounds how often either sends a request
// (sending), ends uploads that nobody wants any more (leavable), and passes
// interim answers on (interim). The short way uses the same http1.Client, and with it
// the same idle connections, by http1.Trip.
//
// # What is decided where
//
// What to inject, what to strip and what an answer means are decisions of a
// [Plan], data in and data out. Where requests go, what is removed and what is
// replayed are decided by functions on strings, headers and the types of package
// exchange, in files of their own (path, query, cookie, strip, jsonend, replay).
// None of them moves a byte, which is why two lanes can share every decision. A call
// has the state of one request and the order in which it is decided: admit (what is
// asked for), forward (what is sent, and what the answer means), relay (what the client
// gets), record (what is counted and logged).
//
// # Security
//
// The client chooses neither scheme nor host of the upstream. Nothing that it
// sends can remove, replace or double an injected name: names are stripped from
// headers, query, cookies and trailers, and injected last, after hop-by-hop
// fields were removed. Tokens appear in no answer made here but those of
// Handout, and in no log.
package proxy
