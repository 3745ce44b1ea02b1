package demo

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"attache/internal/emulator"
)

// users is how many end users have a messaging token of their own.
const users = 5

// scene is one vendor of the demo: how it is emulated, configured and called.
type scene struct {
	name     string // of the credential and the route
	recipe   string
	vendor   string // the emulator's name
	with     string // parameters, as YAML; %s is the endpoint
	path     string // of the route
	upstream string // the path behind the emulator's address
	method   string
	call     string // the rest of the path
	body     string
	perUser  bool
	good     string // what a good answer contains
	timed    int    // tokens that are renewed when they are due
	carried  int    // tokens whose renewal comes inside ordinary answers
	settings func(*emulator.Settings)
}

func scenery() []scene {
	return []scene{
		{
			name: "wechat", recipe: "jiguang-ums", vendor: emulator.UMS,
			with: "{endpoint: %s, channel_key: " + emulator.UMSChannelKey + ", master_secret: " + emulator.UMSMasterSecret + ", type: wechatoa}",
			path: "/wechat/", upstream: "/wechat", method: http.MethodGet, call: "cgi-bin/user/get", good: `"errcode":0`, timed: 1,
			settings: func(s *emulator.Settings) { s.UMS.SameUntil = emulator.Duration(tokenLife / 2) },
		},
		{
			name: "qiniu", recipe: "qiniu-im", vendor: emulator.QiniuIM,
			with: fmt.Sprintf("{endpoint: %%s, app_id: %s, user_id: %d, password: %s}", emulator.QiniuAppID, int64(emulator.QiniuUserID), emulator.QiniuPassword),
			path: "/qiniu/", method: http.MethodGet, call: "user/profile", good: `"code":200`, timed: 1,
		},
		{
			name: "aicc", recipe: "huawei-aicc", vendor: emulator.HuaweiAICC,
			with: "{endpoint: %s, app_key: " + emulator.AICCAppKey + ", app_secret: " + emulator.AICCAppSecret +
				`, channel_id: "` + emulator.AICCChannelID + `", user_id: {header: X-User-Id}}`,
			path: "/aicc/", upstream: "/apiaccess/ccmessaging", method: http.MethodGet, call: "poll?channel=WEB&receiverId=", perUser: true,
			good: `"resultCode":"0"`, timed: 1, carried: users,
			settings: func(s *emulator.Settings) { s.AICC.Grace = emulator.Duration(time.Second) },
		},
		{
			name: "openim", recipe: "openim", vendor: emulator.OpenIM,
			with: "{endpoint: %s, secret: " + emulator.OpenIMSecret + ", platform_id: 1, user_id: u1}",
			path: "/openim/", method: http.MethodPost, call: "user/get_users_info", body: `{"userIDs":["u1"]}`, good: `"errCode":0`, timed: 1,
		},
	}
}

// vendor is a scene that is served.
type vendor struct {
	scene
	emu    *emulator.Emulator
	server *http.Server
	url    string
}

func (s scene) emulator() (*emulator.Emulator, error) {
	emu, err := emulator.New(s.vendor, emulator.Options{TTL: tokenLife})
	if err == nil && s.settings != nil {
		err = emu.Change(s.settings)
	}
	return emu, err
}

// request makes the n-th request of a route.
func (s scene) request(proxy string, n int) (*http.Request, error) {
	url, user := proxy+s.path+s.call, ""
	if s.perUser {
		user = fmt.Sprintf("u%d", n%users+1)
		url += user
	}
	r, err := http.NewRequest(s.method, url, strings.NewReader(s.body))
	if err != nil {
		return nil, err
	}
	if user != "" {
		r.Header.Set("X-User-Id", user)
	}
	if s.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// curl returns the command line of the same request.
func (s scene) curl(proxy string) string {
	line := "curl"
	url := proxy + s.path + s.call
	if s.perUser {
		line += " -H X-User-Id:u1"
		url += "u1"
	}
	if s.body != "" {
		line += " -d '" + s.body + "'"
	}
	if strings.ContainsAny(url, "?&") {
		url = "'" + url + "'"
	}
	return line + " " + url
}

// logins returns how many logins the vendor answered with a token.
func (v *vendor) logins() uint64 { return sum(v.emu.Stats().Logins) }

// calledFor returns how many logins the vendor's tokens called for at most:
// the first of each, one for each time that a token became due, and one for
// each that was revoked. A token is due no earlier than after three quarters
// of its life.
func (v *vendor) calledFor(elapsed time.Duration) uint64 {
	lives := 1 + uint64(elapsed/(tokenLife*3/4))
	return uint64(v.timed)*lives + uint64(v.carried) + sum(v.emu.Stats().Ended)
}

func sum(counts map[string]uint64) uint64 {
	var total uint64
	for _, n := range counts {
		total += n
	}
	return total
}

// configuration returns the demo's configuration file.
func configuration(vendors []*vendor, listen, admin string) string {
	var credentials, routes strings.Builder
	for _, v := range vendors {
		fmt.Fprintf(&credentials, "  %s:\n    recipe: %s\n    with: %s\n", v.name, v.recipe, fmt.Sprintf(v.with, v.url))
		fmt.Fprintf(&routes, "  - {name: %s, path: %s, upstream: %q, use: [%s]}\n", v.name, v.path, v.url+v.upstream, v.name)
	}
	return fmt.Sprintf("listen: %s\nadmin: %s\nlog: {requests: none}\ncredentials:\n%sroutes:\n%s", listen, admin, &credentials, &routes)
}

// hints tells what can be tried while the demo runs.
func hints(proxy, admin string, vendors []*vendor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "attache runs in front of %d emulated vendors whose tokens live %s.\n", len(vendors), tokenLife)
	fmt.Fprintf(&b, "The traffic below knows nothing about tokens. Try it yourself:\n\n")
	for _, v := range vendors {
		fmt.Fprintf(&b, "%s\n", v.curl(proxy))
	}
	fmt.Fprintf(&b, "curl %s/api/status\ncurl %s/metrics\n\n", admin, admin)
	fmt.Fprintf(&b, "The state of every token, on a page and in another terminal:\n\n%s/\nattache top --url %s\n\n", admin, admin)
	return b.String()
}
