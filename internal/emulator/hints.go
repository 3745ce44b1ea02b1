package emulator

import (
	"fmt"
	"strconv"
	"strings"
)

// Param is a value that the emulator accepts, under the name that attache's
// recipe has for it.
type Param struct {
	Name, Value string
	Secret      bool
}

// Upstream is where a route of attache goes.
type Upstream struct {
	Name string  // the handler, see [Emulator.Handlers]
	URL  string  // for `upstream:`
	With []Param // parameters of the credential for this upstream, beside those of Hints
}

// Hints say how to use an emulator. All values in them are public samples.
type Hints struct {
	Recipe    string // the preset that fits; "": there is none
	Params    []Param
	Upstreams []Upstream
	Curl      []string // shell lines to try
}

// Hints returns how to use the emulator when it is served at base, for example
// http://127.0.0.1:8600 (without a slash at the end).
func (e *Emulator) Hints(base string) Hints {
	base = strings.TrimSuffix(base, "/")
	h := e.vendor.hints(base, e.Settings())
	faults := base + controlPrefix + "faults"
	h.Curl = append(h.Curl,
		`curl -d '{"do":[{"action":"kick"}]}' `+faults,
		`curl -d '{"login":{"fault":"down","status":503,"for":"10s"}}' `+faults,
		`curl -X DELETE `+faults,
		`curl `+base+controlPrefix+`stats`)
	return h
}

// String returns the hints as lines of text.
func (h Hints) String() string {
	var b strings.Builder
	if h.Recipe != "" {
		fmt.Fprintf(&b, "recipe: %s\n", h.Recipe)
	}
	for _, p := range h.Params {
		fmt.Fprintf(&b, "  %s: %s\n", p.Name, p.Value)
	}
	for _, u := range h.Upstreams {
		fmt.Fprintf(&b, "upstream %s: %s", u.Name, u.URL)
		for _, p := range u.With {
			fmt.Fprintf(&b, "  (%s: %s)", p.Name, p.Value)
		}
		b.WriteString("\n")
	}
	b.WriteString("try:\n")
	for _, line := range h.Curl {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

func umsHints(base string, _ Settings) Hints {
	return Hints{
		Recipe: "jiguang-ums",
		Params: []Param{
			{Name: "endpoint", Value: base + "/" + UMS},
			{Name: "channel_key", Value: UMSChannelKey},
			{Name: "master_secret", Value: UMSMasterSecret, Secret: true},
		},
		Upstreams: []Upstream{
			{WeChat, base + "/" + WeChat, []Param{{Name: "type", Value: "wechatoa"}}},
			{WeCom, base + "/" + WeCom, []Param{{Name: "type", Value: "wechatwk"}}},
			{DingTalkOld, base + "/" + DingTalkOld, []Param{{Name: "type", Value: "dingtalkcc"}}},
			{DingTalkNew, base + "/" + DingTalkNew, []Param{{Name: "type", Value: "dingtalkcc"}, {Name: "dingtalk", Value: "new"}}},
		},
		Curl: []string{
			fmt.Sprintf(`curl -u %s:%s '%s/%s/v1/token?type=wechatoa'`, UMSChannelKey, UMSMasterSecret, base, UMS),
			fmt.Sprintf(`curl '%s/%s/cgi-bin/user/get?access_token=TOKEN'`, base, WeChat),
		},
	}
}

func qiniuHints(base string, _ Settings) Hints {
	user := strconv.FormatInt(QiniuUserID, 10)
	return Hints{
		Recipe: "qiniu-im",
		Params: []Param{
			{Name: "endpoint", Value: base},
			{Name: "app_id", Value: QiniuAppID},
			{Name: "login", Value: "id"},
			{Name: "user_id", Value: user},
			{Name: "password", Value: QiniuPassword, Secret: true},
		},
		Upstreams: []Upstream{{Name: QiniuIM, URL: base}},
		Curl: []string{
			fmt.Sprintf(`curl -H 'app_id: %s' -H 'Content-Type: application/json' -d '{"user_id":%s,"password":"%s"}' %s/token/id`,
				QiniuAppID, user, QiniuPassword, base),
			fmt.Sprintf(`curl -H 'app_id: %s' -H 'access-token: TOKEN' %s/user/info`, QiniuAppID, base),
		},
	}
}

func aiccHints(base string, _ Settings) Hints {
	return Hints{
		Recipe: "huawei-aicc",
		Params: []Param{
			{Name: "endpoint", Value: base},
			{Name: "app_key", Value: AICCAppKey},
			{Name: "app_secret", Value: AICCAppSecret, Secret: true},
			{Name: "channel_id", Value: AICCChannelID},
			{Name: "user_id", Value: "user-1"},
		},
		Upstreams: []Upstream{{Name: HuaweiAICC, URL: base + aiccAPI}},
		Curl: []string{
			fmt.Sprintf(`curl -H 'X-Token-Expire: 3600' -H 'Content-Type: application/json' -d '{"app_key":"%s","app_secret":"%s"}' %s%s`,
				AICCAppKey, AICCAppSecret, base, aiccTokenPath),
			fmt.Sprintf(`curl -H 'x-app-key: %s' -H 'Authorization: Bearer ACCESS' -H 'Content-Type: application/json' -d '{"userId":"user-1","userName":"user-1","channelId":"%s","locale":"en"}' %s%s`,
				AICCAppKey, AICCChannelID, base, aiccApplyPath),
			fmt.Sprintf(`curl -H 'x-app-key: %s' -H 'Authorization: Bearer ACCESS' -H 'ccmessaging-token: TOKEN' '%s%spoll?receiverId=user-1&channel=WEB'`,
				AICCAppKey, base, aiccAPI),
		},
	}
}

func openIMHints(base string, s Settings) Hints {
	h := Hints{
		Params:    []Param{{Name: "endpoint", Value: base}, {Name: "secret", Value: OpenIMSecret, Secret: true}, {Name: "platform_id", Value: "1"}, {Name: "user_id", Value: "user_001"}},
		Upstreams: []Upstream{{Name: OpenIM, URL: base}},
	}
	login := func(path, body string) string {
		return fmt.Sprintf(`curl -H 'operationID: 1' -d '%s' %s/auth/%s`, body, base, path)
	}
	v := s.OpenIM.Version.traits()
	switch {
	case v.legacy:
		h.Curl = []string{login("user_token", `{"secret":"`+OpenIMSecret+`","platform":1,"userID":"user_001","operationID":"1"}`)}
	case v.userToken:
		h.Recipe = "openim"
		h.Curl = []string{login("user_token", `{"secret":"`+OpenIMSecret+`","platformID":1,"userID":"user_001"}`)}
	default:
		h.Recipe = "openim/user"
		h.Curl = []string{
			login("get_admin_token", `{"secret":"`+OpenIMSecret+`","userID":"`+OpenIMAdminID+`"}`),
			`curl -H 'operationID: 1' -H 'token: ADMIN' -d '{"platformID":1,"userID":"user_001"}' ` + base + `/auth/get_user_token`,
		}
	}
	h.Curl = append(h.Curl, `curl -H 'operationID: 2' -H 'token: TOKEN' -d '{"operationID":"2"}' `+base+`/user/get_users_info`)
	return h
}

func oauth2Hints(base string, _ Settings) Hints {
	endpoint := base + "/" + OAuth2 + "/token"
	h := Hints{
		Recipe: "oauth2/client-credentials",
		Params: []Param{
			{Name: "token_url", Value: endpoint},
			{Name: "client_id", Value: OAuth2ClientID},
			{Name: "client_secret", Value: OAuth2ClientSecret, Secret: true},
		},
		Upstreams: []Upstream{{Name: OAuth2, URL: base + "/api"}},
	}
	for _, grant := range []string{"client_credentials",
		"password -d username=" + OAuth2User + " -d password=" + OAuth2Password,
		"refresh_token -d refresh_token=" + OAuth2RefreshToken} {
		h.Curl = append(h.Curl, "curl -u "+OAuth2ClientID+":"+OAuth2ClientSecret+" -d grant_type="+grant+" "+endpoint)
	}
	h.Curl = append(h.Curl, "curl -H 'Authorization: Bearer TOKEN' "+base+"/api/orders")
	return h
}
