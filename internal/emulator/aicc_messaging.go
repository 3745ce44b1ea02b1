package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// aiccMessaging makes a messaging token. Its text is what the vendor's is:
// base64 of JSON, percent-encoded, with the last "=" as %3D.
func aiccMessaging(c *call, user, channel string) *grant {
	content, _ := json.Marshal(struct { // strings and numbers: cannot fail
		CreateTime int64  `json:"createTime"`
		UserID     string `json:"userId"`
		ChannelID  string `json:"channelId"`
		Nonce      string `json:"nonce"`
	}{c.now.UnixMilli(), user, channel, ""})
	// The nonce makes the text unique, and its length one that base64 pads with a
	// single "=".
	nonce := 8 + (5-(len(content)+8)%3)%3
	nonce += (c.short(len(content)*4/3+nonce) + 2) / 3 * 3
	text := string(content[:len(content)-2]) + c.e.text(nonce) + `"}`
	return &grant{
		value:   url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text))),
		owner:   owner{"messaging", user + "/" + channel},
		user:    user,
		scope:   channel,
		expires: c.now.Add(c.ttl(AICCMessagingTTL)),
	}
}

// aiccCheckMessaging judges the ccmessaging-token header. renew says that the
// answer is to carry a new token.
func aiccCheckMessaging(c *call) (g *grant, why reason, renew bool) {
	token, _ := c.header("Ccmessaging-Token")
	if token == "" {
		return nil, missing, false
	}
	g, k := c.e.ledger.check(token, c.now)
	if g != nil && g.owner.kind != "messaging" {
		return nil, unknownToken, false
	}
	mode := c.set.AICC.Renew
	switch k {
	case live:
		renew = mode == RenewAlways
	case grace:
		// Several answers may replace one token, each by another value.
		renew = mode != RenewOff
	case expired:
		if mode == RenewOff || !aiccInSession(c, g) {
			return g, expiredToken, false
		}
		renew = true
	default:
		return g, k.reason(), false
	}
	g.used.Store(c.now.UnixNano())
	return g, fine, renew
}

// aiccInSession reports whether the token was used for an accepted call a short
// time ago, and not to end the session since.
func aiccInSession(c *call, g *grant) bool {
	used := g.used.Load()
	return used != 0 && c.now.Sub(time.Unix(0, used)) <= time.Duration(c.set.AICC.Session)
}

// aiccMessage answers the calls that need both tokens.
func aiccMessage(c *call) reply {
	g, why, renew := aiccCheckMessaging(c)
	if why != fine {
		return aiccUnauthorised(c, why)
	}
	rep := aiccDo(c, g)
	if renew && rep.reason == fine {
		fresh := aiccMessaging(c, g.user, g.scope)
		fresh.used.Store(g.used.Load()) // the session goes on, unless this call ended it
		c.e.ledger.replace(g, fresh, c.now, c.now.Add(time.Duration(c.set.AICC.Grace)))
		c.e.counts.issued.add("messaging", 1)
		c.e.counts.renewed.Add(1)
		rep.header = [][2]string{{"ccmessaging-token", fresh.value}}
	}
	return rep
}

func aiccUnauthorised(c *call, why reason) reply {
	const text = "the ccmessaging-token is illegal or expired"
	var rep reply
	switch c.set.AICC.ErrorBody {
	case ErrorEmpty:
		rep.reason = why
	case ErrorResult:
		rep = aiccResult("1", text, why)
	default:
		rep = aiccError(0, "401", text, why)
	}
	rep.status = http.StatusUnauthorized
	return rep
}

// aiccDo does what the call is for. A call for another user than the token's is
// an error: it shows when tokens of two users are mixed up.
func aiccDo(c *call, g *grant) reply {
	switch strings.TrimPrefix(c.path, aiccAPI) {
	case "poll":
		return aiccPoll(c, g)
	case "send", "sendAsync":
		return aiccSend(c, g)
	case "queryHistoryChatMessage":
		return reply{body: `{"resultCode":"0","resultDesc":"query history chat message success.","historyMessages":[],"total":0}`}
	case "getconnectinfo":
		return reply{body: `{"retcode":"0","message":"success","result":{}}`}
	}
	return aiccResult("0", "success.", fine)
}

func aiccPoll(c *call, g *grant) reply {
	query := c.r.URL.RawQuery
	if queryValue(query, "receiverId") != g.user {
		return aiccResult("1", "receiverId is not the user of the token", forbidden)
	}
	if queryValue(query, "channel") == "" {
		return aiccBadRequest("channel is required")
	}
	channel, _ := json.Marshal(g.scope) // strings: cannot fail
	user, _ := json.Marshal(g.user)
	return reply{body: fmt.Sprintf(`{"resultCode":"0","resultDesc":"query user messages success.","downlinkMessages":[{"from":%s,"channel":"WEB","to":%s,"controlType":"CHAT","mediaType":"TEXT","content":"Hello","senderNickname":"robot","timestamp":%d,"sourceType":"ROBOT"}]}`,
		channel, user, c.now.UnixMilli())}
}

func aiccSend(c *call, g *grant) reply {
	var req struct {
		From        string `json:"from"`
		ControlType string `json:"controlType"`
	}
	if err := c.decode(&req); err != nil {
		return aiccBadRequest("the body is not the JSON object that is wanted")
	}
	if !slices.Contains([]string{"CONNECT", "CHAT", "TRANS2AGENT", "INPUT", "DISCONNECT", "READ"}, req.ControlType) {
		return aiccResult("1", "controlType is unknown", badRequest)
	}
	if req.From != g.user {
		return aiccResult("1", "from is not the user of the token", forbidden)
	}
	if req.ControlType == "DISCONNECT" {
		g.used.Store(0)
	}
	switch {
	case strings.HasSuffix(c.path, "/sendAsync"):
		return aiccResult("0", "send sendMessageForOpenApiAsync success.", fine)
	case req.ControlType == "CONNECT":
		return aiccResult("0", "connect to robot successfully.", fine)
	}
	return aiccResult("0", "send message successfully.", fine)
}
