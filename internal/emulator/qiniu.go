package emulator

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the qiniu-im emulator accepts. Every user has the same password, and any
// positive user_id is one; users by other names have numbers of their own.
const (
	QiniuAppID     = "dpbdvekfecbo"
	QiniuUserID    = 2302128618880
	QiniuLoginName = "13800000000"
	QiniuName      = "alice"
	QiniuPassword  = "qiniu-im-demo-1"
)

// qiniuKey signs the emulator's JWTs. Nobody checks the signature.
const qiniuKey = "emulated-qiniu-im"

// qiniuTTL is the emulator's choice; the documentation names no lifetime.
const qiniuTTL = 24 * time.Hour

// QiniuAdminToken returns the application's admin token, which in reality the
// console makes: role 2, without expiry. It is always the same, and no action
// ends it. With it the headers user_id and group_id may be sent.
func QiniuAdminToken() string {
	return signHS512(qiniuKey, `{"app":"`+QiniuAppID+`","sub":"20","cluster":0,"role":2,"iat":1567997408}`)
}

// QiniuSettings are the switches of Qiniu IM.
type QiniuSettings struct {
	// Seconds states expire in seconds instead of milliseconds.
	Seconds bool `json:"seconds"`
	// Opaque makes tokens random texts instead of JWTs.
	Opaque bool `json:"opaque"`
	// WrongPassword is the code for a wrong password. 10000.
	WrongPassword int `json:"wrong_password"`
}

// qiniu is the emulator's immutable part.
type qiniu struct{ admin string }

func qiniuSurfaces(*Emulator) []*surface {
	q := qiniu{admin: QiniuAdminToken()}
	return []*surface{{
		name: QiniuIM, prefix: "/" + QiniuIM,
		login:     qiniuLogin,
		serve:     q.serve,
		down:      reply{body: qiniuError(20000, "database error")},
		throttled: reply{body: qiniuError(429, "too many requests")},
		denied: func(c *call, login bool, _ string) reply {
			if login {
				return qiniuRefuse(c.set.Qiniu.WrongPassword, "user not found or password wrong", badCredential)
			}
			return qiniuRefuse(10010, "no permission", forbidden)
		},
	}}
}

func qiniuError(code int, message string) string {
	return fmt.Sprintf(`{"code":%d,"data":null,"message":"%s"}`, code, message)
}

func qiniuRefuse(code int, message string, why reason) reply {
	return reply{body: qiniuError(code, message), reason: why}
}

func qiniuLogin(c *call) (string, bool) {
	kind, ok := strings.CutPrefix(c.path, "/token/")
	return kind, ok && slices.Contains([]string{"id", "login", "user"}, kind)
}

// qiniuKnows reports whether a path belongs to the API.
func qiniuKnows(path string) bool {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return rest != "" && slices.Contains([]string{"user", "group", "message", "roster", "file", "app", "push"}, first)
}

func (q qiniu) serve(c *call) reply {
	kind, login := qiniuLogin(c)
	if !login && !qiniuKnows(c.path) {
		return reply{status: http.StatusNotFound, body: qiniuError(404, "not found"), reason: notFound}
	}
	// The file calls may carry both in the query.
	file := strings.HasPrefix(c.path, "/file/")
	app, ok := c.header("App_id")
	if !ok && file {
		app = queryValue(c.r.URL.RawQuery, "app_id")
	}
	if app != QiniuAppID {
		return qiniuRefuse(40000, "app_id不存在", badCredential)
	}
	switch {
	case login:
		return qiniuToken(c, kind)
	case c.path == "/user/register/v2": // needs no token
		return reply{body: fmt.Sprintf(`{"code":200,"data":{"user_id":%d},"message":null}`, int64(QiniuUserID))}
	}
	token, ok := c.header("Access-Token")
	if !ok && file {
		token = queryValue(c.r.URL.RawQuery, "access-token")
	}
	return q.call(c, token)
}

// call answers an API call that carries token.
func (q qiniu) call(c *call, token string) reply {
	user, admin := "20", token == q.admin
	if !admin {
		var rep reply
		if user, rep = qiniuCheck(c, token); rep.reason != fine {
			if c.set.HTTP401 {
				rep.status = http.StatusUnauthorized
			}
			return rep
		}
	}
	acting := [2]string{"null", "null"}
	for i, name := range [...]string{"User_id", "Group_id"} {
		v, ok := c.header(name)
		if !ok {
			continue
		}
		if _, err := strconv.ParseInt(v, 10, 64); err != nil {
			return qiniuRefuse(10002, "bad parameter: "+strings.ToLower(name), badRequest)
		}
		if !admin {
			return qiniuRefuse(10010, "no permission", forbidden)
		}
		acting[i] = v
	}
	path, _ := json.Marshal(c.path) // a string: cannot fail
	return reply{body: fmt.Sprintf(`{"code":200,"data":{"user_id":%s,"acting_user_id":%s,"acting_group_id":%s,"path":%s},"message":null}`,
		user, acting[0], acting[1], path)}
}

// qiniuCheck returns the user of a good token, or the refusal of a bad one.
func qiniuCheck(c *call, token string) (string, reply) {
	if token == "" {
		return "", qiniuRefuse(10003, "access-token missing", missing)
	}
	g, k := c.e.ledger.check(token, c.now)
	switch why := k.reason(); why {
	case fine:
		return g.user, reply{}
	case expiredToken:
		return "", qiniuRefuse(402, "token expired", why)
	default:
		return "", qiniuRefuse(10008, "access-token invalid", why)
	}
}

// qiniuRequest is the body of the three logins. Other types than these are
// mistakes, a user_id in quotes among them.
type qiniuRequest struct {
	UserID     json.RawMessage `json:"user_id"`
	LoginName  *string         `json:"login_name"`
	Name       *string         `json:"name"`
	Password   *string         `json:"password"`
	DeviceGUID *string         `json:"device_guid"`
}

func qiniuToken(c *call, kind string) reply {
	if c.r.Method != http.MethodPost {
		return reply{status: http.StatusMethodNotAllowed, body: qiniuError(405, "method not allowed"), reason: badRequest}
	}
	var req qiniuRequest
	if !c.isJSON() || c.decode(&req) != nil || req.Password == nil {
		return qiniuRefuse(10002, "bad parameter", badRequest)
	}
	user, ok := req.user(kind)
	if !ok {
		return qiniuRefuse(10002, "bad parameter: who logs in", badRequest)
	}
	if user <= 0 {
		return qiniuRefuse(10000, "user not found", badCredential)
	}
	if *req.Password != QiniuPassword {
		return qiniuRefuse(c.set.Qiniu.WrongPassword, "user not found or password wrong", badCredential)
	}
	id := strconv.FormatInt(user, 10)
	expires := c.now.Add(c.ttl(qiniuTTL))
	g := c.obtain(order{fresh: &grant{value: qiniuText(c, id), owner: owner{kind, id}, user: id, expires: expires}})
	base, perSecond := c.now.UnixMilli(), int64(1000)
	left := expires.UnixMilli() - base
	if c.set.Qiniu.Seconds {
		base, left, perSecond = c.now.Unix(), expires.Unix()-c.now.Unix(), 1
	}
	var push string
	if req.DeviceGUID != nil {
		push = `,"push_token":"` + c.e.text(32) + `"`
	}
	body := fmt.Sprintf(`{"code":200,"data":{"token":"%s","user_id":%s%s%s,"store_token":"%s","public_key":"%s","access_key_secret":"%s","encrypt_type":0},"message":null}`,
		g.value, id, c.set.Lifetime.member("expire", base, left, perSecond, false), push, c.e.text(32), c.e.text(43), c.e.text(32))
	return reply{body: body, kind: kind, token: g.value}
}

// user returns the number of the account that logs in; it is not positive if
// there is no such account. ok is false if the request does not say who.
func (r *qiniuRequest) user(kind string) (id int64, ok bool) {
	if kind == "id" {
		id, err := strconv.ParseInt(string(r.UserID), 10, 64)
		return id, err == nil
	}
	name := r.Name
	if kind == "login" {
		name = r.LoginName
	}
	switch {
	case name == nil || *name == "":
		return 0, false
	case strings.HasPrefix(*name, "nobody"):
		return 0, true
	case *name == QiniuName || *name == QiniuLoginName:
		return QiniuUserID, true
	}
	h := fnv.New64a()
	h.Write([]byte(*name))
	return int64(h.Sum64()%1e12) + 1e12, true
}

func qiniuText(c *call, user string) string {
	if c.set.Qiniu.Opaque {
		return c.opaque("", 64)
	}
	claims := fmt.Sprintf(`{"app":"%s","sub":"%s","cluster":0,"role":1,"iat":%d,"jti":"%s`, QiniuAppID, user, c.now.Unix(), c.e.text(12))
	return signHS512(qiniuKey, claims+c.e.text(c.short(len(claims)*4/3+128))+`"}`)
}
