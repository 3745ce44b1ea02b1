package proxy

import (
	"errors"
	"net/http"
	"strconv"

	"attache/internal/exchange"
	"attache/refresher"
)

// admit checks the request's form, finds its route and works out what goes
// upstream. Errors are *answer.
func (c *call) admit() error {
	r := c.r
	switch r.Method {
	case http.MethodConnect, http.MethodTrace, "TRACK":
		// A tunnel would escape every rule here, and an answer to TRACE
		// repeats the request, with the tokens in it.
		return &answer{status: http.StatusNotImplemented, kind: errRequest, detail: "CONNECT and TRACE are not served here"}
	}
	if r.ProtoMajor == 2 && !lengthAgrees(r) {
		return badRequest("the content-length is not the length of the body")
	}
	path, query, hasQuery, ok := splitTarget(targetOf(r))
	if !ok {
		return badRequest("the request target must be a path, with or without a query")
	}
	if hasDotSegment(path) {
		return badRequest("the path must not contain dot segments")
	}
	place := c.proxy.table.find(r.Host, path)
	if place == nil {
		return noRoute()
	}
	route, allow := place.route(r.Method)
	if route == nil {
		return wrongMethod(allow)
	}
	c.route, c.metrics = route, route.metrics
	upgrade := upgradeOf(r)
	if upgrade == badUpgrade {
		return badRequest("only WebSocket upgrades are served here")
	}
	c.upgrade = upgrade == webSocket
	if route.Plan.InjectsQuery() && !validQuery(query) {
		return badRequest("the query cannot be parsed: it has a semicolon or a stray percent sign")
	}
	c.rest = path[len(route.prefix):]
	if route.Resolve == nil {
		c.aim(&route.upstream)
	}
	c.query = stripQuery(query, route.strip.query)
	c.forceQuery = hasQuery && query == ""
	c.header = strippedHeader{
		header:  r.Header,
		strip:   &route.strip,
		cookies: stripCookies(r.Header["Cookie"], route.strip.cookies),
	}
	return nil
}

// lengthAgrees reports whether what an HTTP/2 request says about its length is
// what the server makes of it. The server lets the length of a request without a
// body pass, and takes the first of several and 0 for what is no number; a
// gateway has to refuse these (RFC 9113 section 8.1.1).
func lengthAgrees(r *http.Request) bool {
	values := r.Header["Content-Length"]
	if len(values) == 0 {
		return true
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	return len(values) == 1 && err == nil && n == r.ContentLength
}

// targetOf returns the request target as the client sent it.
func targetOf(r *http.Request) string {
	if r.RequestURI == "" { // made by hand, not read by a server
		return r.URL.RequestURI()
	}
	return r.RequestURI
}

// params returns the values that the request gives to the tokens. Errors are
// *answer.
func (c *call) params() (refresher.Params, error) {
	path, query, _, _ := splitTarget(targetOf(c.r))
	params, err := c.route.Plan.Params(exchange.Head{
		Method: c.r.Method, Host: c.r.Host, Path: path, RawQuery: query, Header: c.r.Header,
	})
	if err == nil {
		return params, nil
	}
	if e, ok := errors.AsType[*exchange.ParamError](err); ok {
		return nil, badParam(e)
	}
	return nil, badRequest("a parameter of the request is not usable")
}

// aim says where the request goes.
func (c *call) aim(up *endpoint) { c.up, c.path = up, joinPath(up.base, c.rest) }

// aimByTokens says where the request goes, if the session's tokens decide that.
// Errors are *answer.
func (c *call) aimByTokens() error {
	if c.route.Resolve == nil {
		return nil
	}
	u, err := c.route.Resolve(c.session.tokens)
	if err != nil {
		return badGateway(errNotFound, err.Error())
	}
	up, err := endpointOf(u)
	if err != nil || up.socket != "" {
		return badGateway(errNotFound, "the tokens lead to no usable upstream")
	}
	c.aim(&up)
	return nil
}

// head is the request as plans see it: what goes upstream, before injection.
func (c *call) head() exchange.Head {
	return exchange.Head{
		Method: c.r.Method, Host: c.up.host, Path: c.path, RawQuery: c.query, Header: &c.header,
	}
}
