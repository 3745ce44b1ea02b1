package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What the openim emulator accepts, the defaults of OpenIM's own configuration.
// Any other user ID exists unless it begins with "nobody".
const (
	OpenIMSecret  = "openIM123"
	OpenIMAdminID = "imAdmin"
)

// openIMTTL is the default token policy: 90 days.
const openIMTTL = 90 * 24 * time.Hour

// OpenIMSettings are the switches of OpenIM.
type OpenIMSettings struct {
	Version OpenIMVersion `json:"version"` // v3.7
	// KickPolicy is multiLogin.policy, from v3.8 on: 1 a login kicks the older
	// tokens of the same user and platform, 4 of the same user and class of
	// platforms, 0 none but the oldest beyond 30. 1.
	KickPolicy int `json:"kick_policy"`
	// RefusalCode replaces the code of every bad token, for the codes that
	// present servers hardly produce (1502, 1504); 0: the true code.
	RefusalCode int `json:"refusal_code"`
}

// openIMKept is how many tokens of one user and platform stay when nothing else
// kicks them (maxNumOneEnd).
const openIMKept = 30

// Codes of the server, pkg/common/servererrs.
const (
	openIMInternal     = 500
	openIMArgs         = 1001
	openIMNoPermission = 1002
	openIMNotFound     = 1004
	openIMExpired      = 1501
	openIMMalformed    = 1503
	openIMNotYet       = 1504
	openIMUnknown      = 1505
	openIMKicked       = 1506
	openIMNotExist     = 1507
)

func openIMMessage(code int) string {
	switch code {
	case openIMArgs:
		return "ArgsError"
	case openIMNoPermission:
		return "NoPermissionError"
	case openIMNotFound:
		return "RecordNotFoundError"
	case openIMExpired:
		return "TokenExpiredError"
	case 1502:
		return "TokenInvalidError"
	case openIMMalformed:
		return "TokenMalformedError"
	case openIMNotYet:
		return "TokenNotValidYetError"
	case openIMUnknown:
		return "TokenUnknownError"
	case openIMKicked:
		return "TokenKickedError"
	case openIMNotExist:
		return "TokenNotExistError"
	}
	return "ServerInternalError"
}

func openIMError(code int, detail string, why reason) reply {
	text, _ := json.Marshal(detail) // a string: cannot fail
	return reply{body: fmt.Sprintf(`{"errCode":%d,"errMsg":"%s","errDlt":%s}`, code, openIMMessage(code), text), reason: why}
}

func openIMSuccess(data string) reply {
	return reply{body: `{"errCode":0,"errMsg":"","errDlt":"","data":` + data + `}`}
}

func openIMSurfaces(*Emulator) []*surface {
	down := openIMError(openIMInternal, "server internal error", fine)
	down.status = http.StatusInternalServerError
	return []*surface{{
		name: OpenIM, prefix: "/" + OpenIM,
		jsonType:  "application/json",
		gzips:     true,
		login:     openIMLogin,
		serve:     openIMServe,
		down:      down,
		throttled: openIMError(openIMInternal, "too many requests", fine),
		denied: func(_ *call, login bool, _ string) reply {
			if login {
				return openIMError(openIMNoPermission, "secret invalid", badCredential)
			}
			return openIMError(openIMNoPermission, "no permission", forbidden)
		},
	}}
}

func openIMLogin(c *call) (string, bool) {
	v := c.set.OpenIM.Version.traits()
	switch {
	case c.path == "/auth/user_token" && v.userToken, c.path == "/auth/get_user_token" && v.getUserToken:
		return "user", true
	case c.path == "/auth/get_admin_token" && v.adminToken:
		return "admin", true
	}
	return "", false
}

func openIMServe(c *call) reply {
	v := c.set.OpenIM.Version.traits()
	_, login := openIMLogin(c)
	auth, isAuth := strings.CutPrefix(c.path, "/auth/")
	if isAuth && !login && (v.legacy || auth != "parse_token" && auth != "force_logout") {
		return reply{status: http.StatusNotFound, body: "404 page not found", contentType: "text/plain", reason: notFound}
	}
	if c.r.Method != http.MethodPost {
		if isAuth {
			return reply{status: http.StatusNotFound, body: "404 page not found", contentType: "text/plain", reason: notFound}
		}
		return openIMSuccess("{}") // only POST is checked
	}
	if v.legacy {
		return openIM23Serve(c, login)
	}
	if id, _ := c.header("Operationid"); id == "" {
		return openIMError(openIMArgs, "header must have operationID", badRequest)
	}
	switch auth {
	case "user_token":
		return openIMToken(c, false)
	case "get_admin_token":
		return openIMToken(c, true)
	case "parse_token":
		return openIMParse(c)
	}
	g, rep := openIMCheck(c, v)
	if rep.reason != fine {
		return rep
	}
	switch auth {
	case "get_user_token":
		return openIMUserToken(c, g)
	case "force_logout":
		return openIMLogout(c, g)
	}
	user, _ := json.Marshal(g.user) // a string: cannot fail
	return openIMSuccess(fmt.Sprintf(`{"userID":%s,"platformID":%s}`, user, g.scope))
}

// openIMCheck judges the token header.
func openIMCheck(c *call, v openIMTraits) (*grant, reply) {
	token, _ := c.header("Token")
	if token == "" {
		return nil, openIMError(openIMArgs, "header must have token", missing)
	}
	g, code := openIMVerify(c, v, token)
	if v.hidesJWTErrors && code >= openIMExpired && code <= openIMUnknown {
		code = openIMUnknown // the API layer of v3.5 knows one error only
	}
	return g, openIMRefuse(c, code, token)
}

// openIMRefuse returns the refusal of a bad token; code 0 is no refusal.
func openIMRefuse(c *call, code int, token string) reply {
	var why reason
	detail := ""
	switch code {
	case 0:
		return reply{}
	case openIMExpired:
		why = expiredToken
	case openIMKicked:
		why = kickedToken
	case openIMNotExist:
		why = rotatedToken
	case openIMMalformed:
		why = malformed
	default:
		why = unknownToken
	}
	if code != openIMKicked && code != openIMNotExist {
		// The server really shows the token here: whoever logs the answer leaks it.
		detail = "jwt parse error, token=" + token
	}
	if c.set.OpenIM.RefusalCode != 0 {
		code = c.set.OpenIM.RefusalCode
	}
	return openIMError(code, detail, why)
}

// openIMRequest is the body of all calls below /auth/.
type openIMRequest struct {
	Secret     string `json:"secret"`
	PlatformID int    `json:"platformID"`
	UserID     string `json:"userID"`
	Token      string `json:"token"`
}

// openIMToken answers the two logins that take the secret.
func openIMToken(c *call, admin bool) reply {
	var req openIMRequest
	if err := c.decode(&req); err != nil {
		return openIMError(openIMArgs, "the body is not the JSON object that is wanted", badRequest)
	}
	if req.Secret != OpenIMSecret {
		return openIMError(openIMNoPermission, "secret invalid", badCredential)
	}
	if admin {
		if req.UserID != OpenIMAdminID {
			return openIMError(openIMArgs, "userID is not the admin", badRequest)
		}
		req.PlatformID = openIMAdminPlatform
	}
	if rep := req.check(); rep.reason != fine {
		return rep
	}
	if admin {
		return openIMIssue(c, "admin", req)
	}
	return openIMIssue(c, "user", req)
}

// check refuses users and platforms that do not exist.
func (r openIMRequest) check() reply {
	if openIMPlatform(r.PlatformID) == "" {
		return openIMError(openIMArgs, "platformID is invalid", badRequest)
	}
	if r.UserID == "" {
		return openIMError(openIMArgs, "userID is empty", badRequest)
	}
	if strings.HasPrefix(r.UserID, "nobody") {
		return openIMError(openIMNotFound, ": [1004]RecordNotFoundError", badCredential)
	}
	return reply{}
}

// openIMUserToken answers the login that takes an admin's token.
func openIMUserToken(c *call, admin *grant) reply {
	var req openIMRequest
	if err := c.decode(&req); err != nil {
		return openIMError(openIMArgs, "the body is not the JSON object that is wanted", badRequest)
	}
	if admin.user != OpenIMAdminID || req.UserID == OpenIMAdminID || req.PlatformID == openIMAdminPlatform {
		return openIMError(openIMNoPermission, "no permission", forbidden)
	}
	if rep := req.check(); rep.reason != fine {
		return rep
	}
	return openIMIssue(c, "user", req)
}

func openIMParse(c *call) reply {
	var req openIMRequest
	if err := c.decode(&req); err != nil || req.Token == "" {
		return openIMError(openIMArgs, "token is empty", badRequest)
	}
	g, code := openIMVerify(c, c.set.OpenIM.Version.traits(), req.Token)
	if rep := openIMRefuse(c, code, req.Token); rep.reason != fine {
		return rep
	}
	user, _ := json.Marshal(g.user) // a string: cannot fail
	// Here expireTimeSeconds is a moment, elsewhere a duration.
	return openIMSuccess(fmt.Sprintf(`{"userID":%s,"platformID":%s,"expireTimeSeconds":%d}`, user, g.scope, g.expires.Unix()))
}

func openIMLogout(c *call, admin *grant) reply {
	var req openIMRequest
	if err := c.decode(&req); err != nil || openIMPlatform(req.PlatformID) == "" {
		return openIMError(openIMArgs, "platformID is invalid", badRequest)
	}
	if admin.user != OpenIMAdminID {
		return openIMError(openIMNoPermission, "no permission", forbidden)
	}
	name := req.UserID + "/" + strconv.Itoa(req.PlatformID)
	c.e.ledger.selectTokens("", name, 0, func(g *grant) bool { return g.end(kicked, c.now, c.now) })
	return openIMSuccess("{}")
}
