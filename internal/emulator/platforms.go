package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The names of the platforms' handlers. The platforms take the tokens that ums
// issued, each those of its own types.
const (
	WeChat      = "wechat"
	WeCom       = "wecom"
	DingTalkOld = "dingtalk-old"
	DingTalkNew = "dingtalk-new"
)

// WeChatSettings are the switches of WeChat.
type WeChatSettings struct {
	// Bare leaves errcode out of successful answers, as many calls do.
	Bare bool `json:"bare"`
}

// DingTalkSettings are the switches of both DingTalk APIs.
type DingTalkSettings struct {
	// Wrapped reports a bad token as errcode 88 with sub_code "40014" instead of
	// 40014 itself (old API).
	Wrapped bool `json:"wrapped"`
}

// platform is an API that takes tokens issued by ums.
type platform struct {
	kinds   []string
	token   func(c *call) string
	refuse  func(c *call, why reason) reply
	success func(c *call) reply
}

func (p platform) serve(c *call) reply {
	value := p.token(c)
	if value == "" {
		return p.refuse(c, missing)
	}
	g, k := c.e.ledger.check(value, c.now)
	if g != nil && !slices.Contains(p.kinds, g.owner.kind) {
		k = unknown // another platform's token
	}
	if why := k.reason(); why != fine {
		return p.refuse(c, why)
	}
	return p.success(c)
}

func platformSurfaces() []*surface {
	return []*surface{
		{
			name: WeChat, prefix: "/" + WeChat,
			jsonType:  "application/json; encoding=utf-8",
			serve:     platform{[]string{"wechatoa", "wechatmp"}, queryToken, wechatRefuse, wechatSuccess}.serve,
			down:      reply{body: `{"errcode":-1,"errmsg":"system error"}`},
			throttled: reply{body: `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`},
			denied:    deniedBy(reply{body: `{"errcode":48001,"errmsg":"api unauthorized"}`}),
		}, {
			name: WeCom, prefix: "/" + WeCom,
			serve:     wecomServe,
			down:      reply{body: `{"errcode":-1,"errmsg":"system busy"}`},
			throttled: reply{body: `{"errcode":45009,"errmsg":"api freq out of limit"}`},
			denied:    deniedBy(reply{body: `{"errcode":60011,"errmsg":"no privilege to access/modify contact/party/agent"}`}),
		}, {
			name: DingTalkOld, prefix: "/" + DingTalkOld,
			serve:     platform{[]string{"dingtalkcc"}, queryToken, dingtalkRefuse, plainSuccess}.serve,
			down:      reply{body: `{"errcode":-1,"errmsg":"系统繁忙"}`},
			throttled: reply{body: dingtalkWrapped("90018", "请求被暂时禁用")},
			denied:    deniedBy(reply{body: dingtalkWrapped("60011", "没有调用该接口的权限")}),
		}, {
			name: DingTalkNew, prefix: "/" + DingTalkNew,
			serve:     platform{[]string{"dingtalkcc"}, dingtalkNewToken, dingtalkNewRefuse, dingtalkNewSuccess}.serve,
			down:      reply{status: http.StatusServiceUnavailable, body: `{"code":"ServiceUnavailable","requestid":"0","message":"服务不可用"}`},
			throttled: reply{body: `{"code":"Throttling.Api","requestid":"0","message":"请求过于频繁"}`},
			denied: deniedBy(reply{status: http.StatusForbidden,
				body: `{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","requestid":"0","message":"没有调用该接口的权限"}`}),
		},
	}
}

// deniedBy returns a denial that is always the same.
func deniedBy(rep reply) func(*call, bool, string) reply {
	rep.reason = forbidden
	return func(*call, bool, string) reply { return rep }
}

func queryToken(c *call) string { return queryValue(c.r.URL.RawQuery, "access_token") }

func plainSuccess(*call) reply { return reply{body: `{"errcode":0,"errmsg":"ok"}`} }

// wechatRefuse tells the four ways apart in which a token can be wrong. The rid
// makes every message different: nobody may match on errmsg.
func wechatRefuse(c *call, why reason) reply {
	code, text := 40014, "invalid access_token"
	switch why {
	case missing:
		code, text = 41001, "access_token missing"
	case expiredToken:
		code, text = 42001, "access_token expired"
	case rotatedToken, kickedToken:
		code, text = 40001, "invalid credential, access_token is invalid or not latest"
	}
	return reply{body: fmt.Sprintf(`{"errcode":%d,"errmsg":"%s rid: %s"}`, code, text, c.e.text(26)), reason: why}
}

// maxMedia bounds what a client may ask the emulator to send.
const maxMedia = 1 << 30

// wechatSuccess answers a good call; /cgi-bin/media/get answers with binary
// data, of the size that the query asks for.
func wechatSuccess(c *call) reply {
	if c.path == "/cgi-bin/media/get" {
		size, err := strconv.ParseInt(queryValue(c.r.URL.RawQuery, "size"), 10, 64)
		if err != nil || size <= 0 {
			size = 64 << 10
		}
		return reply{contentType: "image/jpeg", zeros: min(size, maxMedia)}
	}
	if c.set.WeChat.Bare {
		return reply{body: `{"total":1,"count":1,"data":{"openid":["o6_bmjrPTlm6_2sgVt7hMZOPfL2M"]},"next_openid":""}`}
	}
	return plainSuccess(c)
}

func wecomServe(c *call) reply {
	if c.path == "/cgi-bin/gettoken" {
		// The platform's own login, whose secret nobody has here: the one place
		// where WeCom says 40001.
		return reply{body: `{"errcode":40001,"errmsg":"invalid credential, hint: [` + c.e.text(16) + `]"}`, reason: badCredential}
	}
	return platform{[]string{"wechatwk"}, queryToken, wecomRefuse, plainSuccess}.serve(c)
}

func wecomRefuse(c *call, why reason) reply {
	code, text := 40014, "invalid access_token"
	switch why {
	case missing:
		code, text = 41001, "access_token missing"
	case expiredToken:
		code, text = 42001, "access_token expired"
	}
	return reply{
		body: fmt.Sprintf(`{"errcode":%d,"errmsg":"%s, hint: [%d%s], more info at https://open.work.weixin.qq.com/devtool/query?e=%d"}`,
			code, text, c.now.Unix(), c.e.text(10), code),
		reason: why,
	}
}

// dingtalkWrapped returns the answer in which the old API hides other codes.
func dingtalkWrapped(code, text string) string {
	return fmt.Sprintf(`{"errcode":88,"sub_code":"%s","sub_msg":"%s","errmsg":"ding talk error[subcode=%s,submsg=%s]","request_id":"15r2umaxgvcnn"}`,
		code, text, code, text)
}

// dingtalkRefuse says 40014 whatever is wrong: expired tokens are reported in
// the same way.
func dingtalkRefuse(c *call, why reason) reply {
	if c.set.DingTalk.Wrapped {
		return reply{body: dingtalkWrapped("40014", "不合法的access_token"), reason: why}
	}
	return reply{body: `{"errcode":40014,"errmsg":"不合法的access_token"}`, reason: why}
}

func dingtalkNewToken(c *call) string {
	v, _ := c.header("X-Acs-Dingtalk-Access-Token")
	return v
}

func dingtalkNewRefuse(c *call, why reason) reply {
	return reply{
		status: http.StatusBadRequest,
		body:   `{"code":"InvalidAuthentication","requestid":"` + c.e.requestID() + `","message":"不合法的access_token"}`,
		reason: why,
	}
}

func dingtalkNewSuccess(c *call) reply {
	return reply{body: fmt.Sprintf(`{"success":true,"result":{"time":"%s"}}`, c.now.UTC().Format(time.RFC3339))}
}
