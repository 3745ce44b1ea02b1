package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// OpenIMVersion is a release of the server.
type OpenIMVersion string

// The versions that differ in their token API.
const (
	OpenIM23   OpenIMVersion = "v2.3"
	OpenIM35   OpenIMVersion = "v3.5"
	OpenIM37   OpenIMVersion = "v3.7"
	OpenIM38   OpenIMVersion = "v3.8"
	OpenIM383  OpenIMVersion = "v3.8.3"
	OpenIMMain OpenIMVersion = "main"
)

func openIMVersions() []OpenIMVersion {
	return []OpenIMVersion{OpenIM23, OpenIM35, OpenIM37, OpenIM38, OpenIM383, OpenIMMain}
}

// openIMTraits is what differs.
type openIMTraits struct {
	legacy                              bool // v2.3: other requests, answers and errors
	userToken, getUserToken, adminToken bool // which logins there are
	hidesJWTErrors                      bool // every bad JWT is 1505 to the API
	notBefore                           bool // JWTs have nbf, 5 minutes before iat
	kicks                               bool // a login kicks by policy
	adminStateless                      bool // any signed, unexpired admin JWT is good
	adminOverlap                        time.Duration
}

func (v OpenIMVersion) traits() openIMTraits {
	switch v {
	case OpenIM23:
		return openIMTraits{legacy: true, userToken: true, notBefore: true}
	case OpenIM35:
		return openIMTraits{userToken: true, hidesJWTErrors: true, notBefore: true}
	case OpenIM37:
		return openIMTraits{userToken: true, getUserToken: true, notBefore: true}
	case OpenIM38:
		return openIMTraits{getUserToken: true, adminToken: true, kicks: true}
	case OpenIM383:
		return openIMTraits{getUserToken: true, adminToken: true, kicks: true, adminStateless: true}
	}
	return openIMTraits{getUserToken: true, adminToken: true, kicks: true, adminOverlap: 5 * time.Minute}
}

const openIMAdminPlatform = 10

// openIMPlatform returns the name of a platform, "" if there is none.
func openIMPlatform(id int) string {
	names := [...]string{"", "IOS", "Android", "Windows", "OSX", "Web", "MiniWeb", "Linux", "APad", "IPad", "Admin", "HarmonyOS"}
	if id < 1 || id >= len(names) {
		return ""
	}
	return names[id]
}

// openIMClass returns the platforms of the same class, itself included.
func openIMClass(id int) []int {
	for _, class := range [][]int{{1, 2}, {3, 4, 7}, {8, 9}} {
		if slices.Contains(class, id) {
			return class
		}
	}
	return []int{id}
}

// openIMClaims are those of both generations.
type openIMClaims struct {
	UserID     string `json:"UserID,omitzero"`
	PlatformID int    `json:"PlatformID,omitzero"`
	UID        string `json:"UID,omitzero"`      // v2.3
	Platform   string `json:"Platform,omitzero"` // v2.3
	Expires    int64  `json:"exp"`
	NotBefore  int64  `json:"nbf,omitzero"`
	IssuedAt   int64  `json:"iat"`
	Padding    string `json:"pad,omitzero"`
}

// openIMIssue issues a token and answers with it.
func openIMIssue(c *call, kind string, req openIMRequest) reply {
	v := c.set.OpenIM.Version.traits()
	life := c.ttl(openIMTTL)
	platform := strconv.Itoa(req.PlatformID)
	// The claim counts in seconds; rounded up, it is never before the time that
	// the answer states.
	expires := c.now.Add(life + time.Second - 1).Truncate(time.Second)
	g := c.obtain(order{
		fresh: &grant{
			value: openIMText(c, v, req, expires), owner: owner{kind, req.UserID + "/" + platform},
			user: req.UserID, scope: platform, expires: expires,
		},
		retire: func(l *ledger) {
			for _, o := range openIMOlder(c, v, kind, req) {
				c.supersede(o.owner, o.fate, o.at, o.keep)(l)
			}
		},
	})
	if v.legacy {
		user, _ := json.Marshal(req.UserID) // a string: cannot fail
		return reply{
			body: fmt.Sprintf(`{"errCode":0,"errMsg":"","data":{"userID":%s,"token":"%s"%s}}`, user, g.value,
				c.set.Lifetime.member("expiredTime", c.now.Unix(), int64(life/time.Second), 1, false)),
			kind: kind, token: g.value,
		}
	}
	rep := openIMSuccess(fmt.Sprintf(`{"token":"%s"%s}`, g.value,
		c.set.Lifetime.member("expireTimeSeconds", 0, int64(life/time.Second), 1, false)))
	rep.kind, rep.token = kind, g.value
	return rep
}

// ending says what a login does to the older tokens of one owner.
type ending struct {
	owner owner
	fate  condition
	at    time.Time
	keep  int
}

// openIMOlder returns the endings that a login causes.
func openIMOlder(c *call, v openIMTraits, kind string, req openIMRequest) []ending {
	self := owner{kind, req.UserID + "/" + strconv.Itoa(req.PlatformID)}
	switch {
	case !v.kicks || kind == "admin" && v.adminStateless:
		return nil
	case kind == "admin" && v.adminOverlap > 0:
		return []ending{{self, rotated, c.now.Add(v.adminOverlap), 0}}
	case kind == "admin" || c.set.OpenIM.KickPolicy == 0:
		return []ending{{self, kicked, c.now, openIMKept - 1}}
	case c.set.OpenIM.KickPolicy == 4:
		var all []ending
		for _, id := range openIMClass(req.PlatformID) {
			all = append(all, ending{owner{kind, req.UserID + "/" + strconv.Itoa(id)}, kicked, c.now, 0})
		}
		return all
	}
	return []ending{{self, kicked, c.now, 0}}
}

// openIMText makes a JWT that does not exist yet. Real ones are equal when made
// in the same second; here iat gives way, so that every login shows.
func openIMText(c *call, v openIMTraits, req openIMRequest, expires time.Time) string {
	claims := openIMClaims{UserID: req.UserID, PlatformID: req.PlatformID, Expires: expires.Unix(), IssuedAt: c.now.Unix() - 5}
	if v.legacy {
		claims.UserID, claims.PlatformID = "", 0
		claims.UID, claims.Platform = req.UserID, openIMPlatform(req.PlatformID)
	}
	claims.Padding = c.e.text(c.short(220))
	for {
		if v.notBefore {
			claims.NotBefore = claims.IssuedAt - 300
		}
		text, _ := json.Marshal(claims) // strings and numbers: cannot fail
		token := signHS256(OpenIMSecret, string(text))
		if !c.e.ledger.known(token) {
			return token
		}
		claims.IssuedAt--
	}
}

// openIMVerify judges a token as the server's parseToken does. It returns the
// token's grant, or the code of what is wrong with it.
func openIMVerify(c *call, v openIMTraits, token string) (*grant, int) {
	g, k := c.e.ledger.check(token, c.now)
	if g == nil {
		return openIMVerifyJWT(c, v, token)
	}
	stateless := v.adminStateless && g.owner.kind == "admin"
	switch {
	case k == expired || !c.now.Before(g.expires):
		return g, openIMExpired
	case k == live || k == grace || stateless:
		return g, 0
	case k == kicked:
		return g, openIMKicked
	}
	return g, openIMNotExist
}

// openIMVerifyJWT judges a token that nobody registered: self-made, forgotten,
// or no token at all.
func openIMVerifyJWT(c *call, v openIMTraits, token string) (*grant, int) {
	header, claims, signature, signed, ok := splitJWT(token)
	var head struct {
		Algorithm string `json:"alg"`
	}
	var body openIMClaims
	if !ok || json.Unmarshal(header, &head) != nil || json.Unmarshal(claims, &body) != nil {
		return nil, openIMMalformed
	}
	now := c.now.Unix()
	switch {
	case head.Algorithm != "HS256" || string(signature) != string(hs256(OpenIMSecret, signed)):
		return nil, openIMUnknown
	case body.Expires <= now:
		return nil, openIMExpired
	case body.NotBefore > now:
		return nil, openIMNotYet
	case v.adminStateless && body.UserID == OpenIMAdminID && body.PlatformID == openIMAdminPlatform:
		return &grant{
			value: token, owner: owner{"admin", OpenIMAdminID + "/10"}, user: OpenIMAdminID,
			scope: strconv.Itoa(openIMAdminPlatform), expires: time.Unix(body.Expires, 0),
		}, 0
	}
	return nil, openIMNotExist
}

// openIM23Serve answers v2.3: operationID and platform in the body, HTTP errors
// with codes of their own, and the token itself in the text of its refusal.
func openIM23Serve(c *call, login bool) reply {
	var req struct {
		openIMRequest
		Platform    int    `json:"platform"`
		OperationID string `json:"operationID"`
	}
	if err := c.decode(&req); err != nil || req.OperationID == "" {
		return openIM23Error(400, "operationID is required", badRequest)
	}
	if login {
		req.PlatformID = req.Platform
		switch {
		case req.Secret != OpenIMSecret:
			return openIM23Error(401, "not authorized", badCredential)
		case req.UserID == "" || openIMPlatform(req.PlatformID) == "":
			return openIM23Error(400, "userID and platform are required", badRequest)
		}
		return openIMIssue(c, "user", req.openIMRequest)
	}
	token, _ := c.header("Token")
	g, code := openIMVerify(c, c.set.OpenIM.Version.traits(), token)
	if rep := openIMRefuse(c, code, token); rep.reason != fine {
		return openIM23Error(500, req.OperationID+" GetUserIDFromToken failed "+rep.reason.String()+" token:"+token, rep.reason)
	}
	user, _ := json.Marshal(g.user) // a string: cannot fail
	return reply{body: fmt.Sprintf(`{"errCode":0,"errMsg":"","data":{"userID":%s}}`, user)}
}

func openIM23Error(code int, text string, why reason) reply {
	message, _ := json.Marshal(text) // a string: cannot fail
	return reply{status: http.StatusBadRequest, body: fmt.Sprintf(`{"errCode":%d,"errMsg":%s}`, code, message), reason: why}
}
