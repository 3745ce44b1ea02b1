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
	if err := c.find(targetOf(r)); err != nil {
		return err
	}
	upgrade := upgradeOf(r)
	if upgrade == badUpgrade {
		return badRequest("only WebSocket upgrades are served here")
	}
	c.upgrade = upgrade == webSocket
	return c.prepare(r.Header, r.Header["Cookie"])
}

// find finds the route for a request target. Errors are *answer.
func (c *call) find(target string) error {
	path, query, hasQuery, ok := splitTarget(target)
	if !ok {
		return badRequest("the request target must be a path, with or without a query")
	}
	if hasDotSegment(path) {
		return badRequest("the path must not contain dot segments")
	}
	place := c.proxy.table.find(c.host, path)
	if place == nil {
		return noRoute()
	}
	route, allow := place.route(c.method)
	if route == nil {
		return wrongMethod(allow)
	}
	c.route, c.metrics = route, route.metrics
	c.clientPath, c.clientQuery, c.forceQuery = path, query, hasQuery && query == ""
	return nil
}

// prepare works out what goes upstream of the client's header, in which cookies are
// the values of Cookie. Errors are *answer.
func (c *call) prepare(header exchange.Getter, cookies []string) error {
	route := c.route
	if route.Plan.InjectsQuery() && !validQuery(c.clientQuery) {
		return badRequest("the query cannot be parsed: it has a semicolon or a stray percent sign")
	}
	c.rest = c.clientPath[len(route.prefix):]
	if route.Resolve == nil {
		c.aim(&route.upstream)
	}
	c.query = stripQuery(c.clientQuery, route.strip.query)
	c.header = strippedHeader{
		header:  header,
		strip:   &route.strip,
		cookies: stripCookies(cookies, route.strip.cookies),
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

// params returns the values that the request gives to the tokens, by the client's
// header. Errors are *answer.
func (c *call) params(header exchange.Getter) (refresher.Params, error) {
	params, err := c.route.Plan.Params(exchange.Head{
		Method: c.method, Host: c.host, Path: c.clientPath, RawQuery: c.clientQuery, Header: header,
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
		Method: c.method, Host: c.up.host, Path: c.path, RawQuery: c.query, Header: &c.header,
	}
}
