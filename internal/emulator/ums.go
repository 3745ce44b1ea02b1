package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The credentials that the ums emulator accepts, the samples of Jiguang's own
// documentation.
const (
	UMSChannelKey   = "7d431e42dfa6a6d693ac2d04"
	UMSMasterSecret = "5e987ac6d2e04d95a9d8f0d1"
)

// umsTTL is the lifetime in the sample of Jiguang's documentation: a little
// less than the 7200 s of the platforms.
const umsTTL = 7000 * time.Second

// UMSMode says what a login does to the tokens before.
type UMSMode string

// The modes of [UMSSettings].
const (
	// SameUntil: the same token until it has less than SameUntil left, then a
	// new one; the old one lives out its time.
	SameUntil UMSMode = "same_until"
	// RotateWithOverlap: a new token with every login; the old one works for
	// Overlap longer.
	RotateWithOverlap UMSMode = "rotate_with_overlap"
	// RotateImmediate: a new token with every login; the old one dies at once.
	RotateImmediate UMSMode = "rotate_immediate"
)

// UMSSettings are the switches of Jiguang UMS.
type UMSSettings struct {
	Mode UMSMode `json:"mode"` // same_until
	// SameUntil is the remaining lifetime below which a login gets a new token;
	// never more than 3/10 of the whole. 5m.
	SameUntil Duration `json:"same_until"`
	// Overlap is how long a replaced token still works in mode
	// rotate_with_overlap. 5m.
	Overlap Duration `json:"overlap"`
}

func umsTypes() []string { return []string{"wechatoa", "wechatmp", "wechatwk", "dingtalkcc"} }

func umsSurfaces(*Emulator) []*surface {
	ums := &surface{
		name: UMS, prefix: "/" + UMS,
		login:     umsLogin,
		serve:     umsServe,
		down:      reply{body: `{"code":5000,"message":"错误信息"}`},
		throttled: reply{body: `{"code":1015030,"message":"api request over the rate limit"}`},
		denied:    func(c *call, _ bool, _ string) reply { return umsUnauthorised(c) },
	}
	return append([]*surface{ums}, platformSurfaces()...)
}

func umsLogin(c *call) (string, bool) {
	if c.path != "/v1/token" {
		return "", false
	}
	kind := queryValue(c.r.URL.RawQuery, "type")
	if !slices.Contains(umsTypes(), kind) {
		kind = ""
	}
	return kind, true
}

func umsUnauthorised(c *call) reply {
	rep := reply{body: `{"code":4005,"message":"auth failed"}`, reason: badCredential}
	if c.set.HTTP401 {
		rep.status = http.StatusUnauthorized
	}
	return rep
}

func umsServe(c *call) reply {
	login := c.path == "/v1/token"
	method := http.MethodPost
	if login {
		method = http.MethodGet
	} else if !umsKnows(c.path) {
		return reply{status: http.StatusNotFound, body: `{"code":404,"message":"not found"}`, reason: notFound}
	}
	if c.r.Method != method {
		return reply{status: http.StatusMethodNotAllowed, body: `{"code":405,"message":"method not allowed"}`, reason: badRequest}
	}
	key, secret, ok := c.r.BasicAuth()
	if !ok || key != UMSChannelKey || secret != UMSMasterSecret {
		return umsUnauthorised(c)
	}
	if !login {
		return reply{body: `{"code":0,"message":"success"}`}
	}
	kind, _ := umsLogin(c)
	if kind == "" {
		return reply{body: `{"code":4004,"message":"illegal parameter: type"}`, reason: badRequest}
	}
	return umsToken(c, kind)
}

// umsKnows reports whether a path is one of the calls that take Basic
// credentials and no token.
func umsKnows(path string) bool {
	switch path {
	case "/v1/broadcast", "/v1/sent", "/v1/template/broadcast", "/v1/template/sent",
		"/v1/user/opt", "/v1/user/delete", "/v1/material":
		return true
	}
	return strings.HasPrefix(path, "/v1/retract/")
}

func umsToken(c *call, kind string) reply {
	life := c.ttl(umsTTL)
	who := owner{kind, kind}
	o := order{fresh: &grant{value: c.opaque("88_", 136), owner: who, user: kind, expires: c.now.Add(life)}}
	switch c.set.UMS.Mode {
	case SameUntil:
		renew := max(min(time.Duration(c.set.UMS.SameUntil), life*3/10), time.Second)
		o.reuse = func(g *grant, k condition) bool { return k == live && g.expires.Sub(c.now) >= renew }
	case RotateWithOverlap:
		o.retire = c.supersede(who, rotated, c.now.Add(time.Duration(c.set.UMS.Overlap)), 0)
	case RotateImmediate:
		o.retire = c.supersede(who, rotated, c.now, 0)
	}
	g := c.obtain(o)
	left := life
	if !c.set.SameToken {
		left = g.expires.Sub(c.now)
	}
	lifetime := c.set.Lifetime.member("expires_in", 0, int64(left/time.Second), 1, true)
	return reply{
		body:  fmt.Sprintf(`{"code":0,"token":"%s"%s}`, g.value, lifetime),
		kind:  kind,
		token: g.value,
	}
}
