// Package proxy is the data plane: it takes an application's plain requests,
// adds the tokens that each upstream wants, and repairs answers that refuse
// them.
//
// # The way of a request
//
// A [Proxy] finds the route by host and path, removes every spelling of the
// names that the route injects, takes the tokens from their instances, adds
// them to the outgoing request and forwards it. The answer is judged: by its
// head, and by a bounded part of its body where a rule could still match. A
// refusal rejects exactly the token that was used and, once there is a new one,
// the request is sent again, at most once for each token. A renewed token is
// offered to its instance. Everything else streams through untouched.
//
// # What is decided where
//
// What to inject, what to strip and what an answer means are decisions of a
// [Plan], data in and data out. Where requests go, what is removed and what is
// replayed are decided by functions on strings and on the types of package
// exchange, in files of their own (path, query, cookie, strip, jsonend, replay).
// Only forward, hold, relay and upgrade know net/http, so another way of moving
// the bytes can share every decision.
//
// # Security
//
// The client chooses neither scheme nor host of the upstream. Nothing that it
// sends can remove, replace or double an injected name: names are stripped from
// headers, query, cookies and trailers, and injected last, after hop-by-hop
// fields were removed. [Guard] keeps browsers of foreign sites away from
// listeners on loopback. Tokens appear in no answer made here and in no log.
package proxy
