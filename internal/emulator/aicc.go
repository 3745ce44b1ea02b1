package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The credentials that the huawei-aicc emulator accepts. Any channel and any
// user will do; the channel here is the sample of Huawei's documentation.
const (
	AICCAppKey    = "aicc-demo-app-key"
	AICCAppSecret = "aicc-demo-app-secret"
	AICCChannelID = "202102193196869708"
)

// AICCMessagingTTL is the documented lifetime of a messaging token. The answer
// of applyToken does not state it, so a client counts on it even when
// [Settings.TTL] makes the emulator end the token earlier.
const AICCMessagingTTL = time.Hour

const (
	aiccAccessTTL    = 600 * time.Second
	aiccMaxAccessTTL = 3600 * time.Second
)

// Renew says when an answer carries a new messaging token.
type Renew string

// The choices of [AICCSettings.Renew].
const (
	RenewOff     Renew = "off"     // never: an expired token is refused
	RenewExpired Renew = "expired" // when the token expired within a session
	RenewAlways  Renew = "always"  // with every answer
)

// ErrorBody is the body of an HTTP 401.
type ErrorBody string

// The choices of [AICCSettings.ErrorBody].
const (
	ErrorStandard ErrorBody = "standard" // errorCode and exceptionInfo
	ErrorResult   ErrorBody = "result"   // resultCode and resultDesc
	ErrorEmpty    ErrorBody = "empty"    // nothing
)

// AICCSettings are the switches of Huawei Cloud AICC.
type AICCSettings struct {
	Renew Renew `json:"renew"` // expired
	// Grace is how long a token still works after an answer replaced it. 30s.
	Grace Duration `json:"grace"`
	// Session is how long after its last accepted call a token that expired
	// counts as within a session. 1m.
	Session Duration `json:"session"`
	// Quotes puts the token of applyToken into quotation marks, as a sample in
	// Huawei's documentation has it.
	Quotes bool `json:"quotes"`
	// ErrorBody is the body of a refused messaging token. standard.
	ErrorBody ErrorBody `json:"error_body"`
}

const (
	aiccTokenPath = "/apigovernance/api/oauth/tokenByAkSk"
	aiccAPI       = "/apiaccess/ccmessaging/"
	aiccApplyPath = aiccAPI + "applyToken"
)

func aiccSurfaces(*Emulator) []*surface {
	return []*surface{{
		name: HuaweiAICC, prefix: "/" + HuaweiAICC,
		login:     aiccLogin,
		serve:     aiccServe,
		down:      aiccError(http.StatusInternalServerError, "500", "business failure", fine),
		throttled: aiccError(0, "429", "too many requests", fine),
		denied:    aiccDenied,
	}}
}

func aiccLogin(c *call) (string, bool) {
	switch c.path {
	case aiccTokenPath:
		return "access", true
	case aiccApplyPath:
		return "messaging", true
	}
	return "", false
}

// aiccDenied is the refusal that no new token helps against: of the key, of the
// user, or of a service that was not bought.
func aiccDenied(_ *call, login bool, kind string) reply {
	if login && kind == "messaging" {
		return aiccResult("1", "the channel is not available", badCredential)
	}
	if login {
		return aiccBadKey()
	}
	return aiccError(http.StatusUnauthorized, "401", "the service is not enabled for the account", forbidden)
}

func aiccError(status int, code, text string, why reason) reply {
	return reply{status: status, body: fmt.Sprintf(`{"errorCode":"%s","exceptionInfo":"%s"}`, code, text), reason: why}
}

func aiccResult(code, text string, why reason) reply {
	return reply{body: fmt.Sprintf(`{"resultCode":"%s","resultDesc":"%s"}`, code, text), reason: why}
}

func aiccBadKey() reply {
	return aiccError(http.StatusUnauthorized, "401", "app_key or app_secret is wrong", badCredential)
}

func aiccBadRequest(text string) reply {
	return aiccError(http.StatusBadRequest, "400", text, badRequest)
}

// aiccMethod returns the method of a path, or "" for an unknown one.
func aiccMethod(path string) string {
	if path == aiccTokenPath {
		return http.MethodPost
	}
	switch call, _ := strings.CutPrefix(path, aiccAPI); call {
	case "applyToken", "send", "sendAsync", "queryHistoryChatMessage", "queryQueueInfo", "uploadFileStream", "getconnectinfo":
		return http.MethodPost
	case "poll":
		return http.MethodGet
	}
	return ""
}

func aiccServe(c *call) reply {
	switch aiccMethod(c.path) {
	case "":
		return aiccError(http.StatusNotFound, "404", "no such path", notFound)
	case c.r.Method:
	default:
		return aiccError(http.StatusMethodNotAllowed, "405", "method not allowed", badRequest)
	}
	if c.path == aiccTokenPath {
		return aiccAccessToken(c)
	}
	// 403 comes before everything else: the gateway in front checks it.
	if why := aiccCheckAccess(c); why != fine {
		return aiccError(http.StatusForbidden, "403",
			"auth fail! illegal or expired token info. please apply or refresh the access token from the server!", why)
	}
	if key, _ := c.header("X-App-Key"); key != AICCAppKey {
		return aiccBadRequest("x-app-key is missing or not the key of the access token")
	}
	if c.path == aiccApplyPath {
		return aiccApply(c)
	}
	return aiccMessage(c)
}

// aiccCheckAccess judges the Authorization header: Bearer, one space, an access
// token.
func aiccCheckAccess(c *call) reason {
	v, _ := c.header("Authorization")
	token, ok := strings.CutPrefix(v, "Bearer ")
	if !ok || token == "" {
		return missing
	}
	g, k := c.e.ledger.check(token, c.now)
	if g != nil && g.owner.kind != "access" {
		k = unknown
	}
	return k.reason()
}

func aiccAccessToken(c *call) reply {
	var req struct {
		AppKey    string `json:"app_key"`
		AppSecret string `json:"app_secret"`
	}
	if !c.isJSON() {
		return aiccBadRequest("Content-Type is not application/json")
	}
	if err := c.decode(&req); err != nil {
		return aiccBadRequest("the body is not the JSON object that is wanted")
	}
	if req.AppKey != AICCAppKey || req.AppSecret != AICCAppSecret {
		return aiccBadKey()
	}
	life := aiccAccessTTL
	if v, ok := c.header("X-Token-Expire"); ok {
		seconds, err := strconv.ParseInt(v, 10, 32)
		if err != nil || seconds <= 0 {
			return aiccBadRequest("X-Token-Expire is not a number of seconds")
		}
		life = min(time.Duration(seconds)*time.Second, aiccMaxAccessTTL)
	}
	life = min(life, c.ttl(life))
	g := c.obtain(order{fresh: &grant{
		value: c.opaque("z", 48), owner: owner{"access", AICCAppKey}, expires: c.now.Add(life),
	}})
	return reply{
		body: fmt.Sprintf(`{"AccessToken":"%s","ApplyType":"Bearer","CreateTime":"%d"%s,"Scope":"ccmessaging","AppKey":"%s","UserID":"Anonymous"}`,
			g.value, c.now.Unix(), c.set.Lifetime.member("Expires", 0, int64(life/time.Second), 1, true), AICCAppKey),
		kind:  "access",
		token: g.value,
	}
}

func aiccApply(c *call) reply {
	var req struct {
		UserID    *string `json:"userId"`
		UserName  *string `json:"userName"`
		ChannelID *string `json:"channelId"`
		Locale    *string `json:"locale"`
	}
	if !c.isJSON() {
		return aiccBadRequest("Content-Type is not application/json")
	}
	if err := c.decode(&req); err != nil {
		return aiccBadRequest("the body is not the JSON object that is wanted")
	}
	for _, v := range []*string{req.UserID, req.UserName, req.ChannelID, req.Locale} {
		if v == nil || *v == "" {
			return aiccBadRequest("userId, userName, channelId and locale are required")
		}
	}
	if utf8.RuneCountInString(*req.UserID) > 32 {
		return aiccBadRequest("userId is longer than 32 characters")
	}
	if !slices.Contains([]string{"zh", "en", "zh_CN", "en_US"}, *req.Locale) {
		return aiccBadRequest("locale is none of zh, en, zh_CN, en_US")
	}
	g := c.obtain(order{fresh: aiccMessaging(c, *req.UserID, *req.ChannelID)})
	text := g.value
	if c.set.AICC.Quotes {
		text = `\"` + text + `\"`
	}
	return reply{body: `{"resultCode":"0","token":"` + text + `"}`, kind: "messaging", token: g.value}
}
