// Package emulator has the vendors whose token APIs attache knows as real HTTP
// servers: for the demo, for end-to-end tests, and for `attache emulate`. They
// do on the wire what the vendors' documentation and source code say, their
// peculiarities and refusals included. What the vendors leave open is a switch
// in [Settings]. They hold no real account: the credentials they accept are
// fixed, public samples (see [Emulator.Hints]).
//
//	e, err := emulator.New(emulator.UMS, emulator.Options{TTL: 5 * time.Second})
//	…
//	http.ListenAndServe("127.0.0.1:8600", e)
//
// # ums: Jiguang UMS and the platforms behind it
//
//	GET /ums/v1/token?type={wechatoa|wechatmp|wechatwk|dingtalkcc}   Basic key:secret
//	    {"code":0,"token":"…","expires_in":"7000"}      a string; HTTP 200 always
//	    4005 wrong key or secret · 4004 unknown type · 5000 down · 1015030 throttled
//	POST /ums/v1/broadcast and its like                              Basic, no token
//	*  /wechat/…?access_token=        40001 rotated or kicked · 42001 expired · 40014 unknown · 41001 absent
//	*  /wecom/…?access_token=         42001 expired · 41001 absent · 40014 anything else
//	*  /dingtalk-old/…?access_token=  40014, or 88 with sub_code "40014"
//	*  /dingtalk-new/…                header x-acs-dingtalk-access-token; HTTP 400 InvalidAuthentication
//
// A platform takes the tokens of its own types: wechatoa and wechatmp,
// wechatwk, dingtalkcc. /wecom/cgi-bin/gettoken always answers 40001, which at
// WeCom means a bad secret and no bad token. /wechat/cgi-bin/media/get?size=N
// sends N bytes of binary data. Tokens live 7000 s. Kinds and accounts are the
// types.
//
// # qiniu-im: Qiniu IM
//
//	POST /token/{id|login|user}   header app_id; {"user_id":2302128618880,"password":"…"}
//	    {"code":200,"data":{"token":"…","user_id":…,"expire":<ms>,…},"message":null}
//	    10000 unknown user or wrong password · 10002 bad parameter · 40000 wrong app_id
//	*    /user/… /group/… /message/… and so on   headers app_id and access-token
//	    402 expired · 10003 absent · 10008 anything else · 10010 no permission; all HTTP 200
//
// The answer to a call says whose token it was and, with the admin token of
// [QiniuAdminToken], on whose behalf the headers user_id and group_id made it
// act; with any other token these headers are answered 10010. Tokens live 24 h.
// The kinds are id, login and user, the accounts user numbers.
//
// # huawei-aicc: Huawei Cloud AICC messaging
//
//	POST /apigovernance/api/oauth/tokenByAkSk   header X-Token-Expire (600, at most 3600)
//	    {"AccessToken":"z…","CreateTime":"…","Expires":"600",…}      all strings
//	POST /apiaccess/ccmessaging/applyToken      headers x-app-key, Authorization
//	    {"resultCode":"0","token":"…%3D"}
//	POST …/send, …/sendAsync, …/queryHistoryChatMessage, GET …/poll, and others
//	    headers x-app-key, Authorization, ccmessaging-token
//	    403 access token bad, checked first · 401 messaging token bad
//
// A messaging token lives 1 h ([AICCMessagingTTL]); no answer says so, and with
// [Settings.TTL] it really lives that long instead. If it expires within a
// session, that is within [AICCSettings.Session] of its last accepted call, the
// next call succeeds and its answer carries a new token in the header
// ccmessaging-token; the old one works for [AICCSettings.Grace] longer. Parallel
// calls get different new tokens, all good. A rotated or kicked token is refused
// at once. `from` and `receiverId` have to be the token's user, or the answer is
// resultCode "1". The kinds are access, whose account is the key, and messaging,
// whose accounts are "user/channel".
//
// # openim: OpenIM servers
//
//	POST /auth/user_token       v2.3 to v3.7   {"secret":…,"platformID":1,"userID":…}
//	POST /auth/get_user_token   from v3.7      {"platformID":1,"userID":…}, an admin's token
//	POST /auth/get_admin_token  from v3.8      {"secret":…,"userID":"imAdmin"}
//	    {"errCode":0,…,"data":{"token":"…","expireTimeSeconds":7776000}}
//	POST /auth/parse_token, /auth/force_logout, and anything else
//	    headers operationID and token; HTTP 200 always
//	    1001 header absent · 1002 no permission or wrong secret · 1004 no such user
//	    1501 expired · 1503 malformed · 1504 not yet · 1505 not ours · 1506 kicked · 1507 rotated
//
// Answers are compressed when the request accepts it. v3.5 calls every bad JWT,
// an expired one too, 1505. From v3.8 on a login kicks the user's older tokens
// ([OpenIMSettings.KickPolicy]); on main an admin's older tokens live 5 minutes
// longer; v3.8.3 takes any signed admin JWT and knows no kicked one. v2.3 wants
// platform and operationID in the body, states expiredTime as a moment, and
// refuses with HTTP 400. Tokens live 90 days, rounded up to the full second. The
// kinds are admin and user, the accounts "user/platform".
//
// # oauth2: an OAuth 2.0 authorization server and an API
//
//	POST /oauth2/token        a form; the client by Basic, in the form, or by a JWT
//	    grant_type client_credentials · password · refresh_token
//	    · …:token-exchange · …:jwt-bearer
//	    {"access_token":"…","token_type":"Bearer","expires_in":3600,"scope":"…"}
//	    errors of RFC 6749 section 5.2, HTTP 400, or 401 for invalid_client
//	POST /oauth2/introspect   RFC 7662
//	POST /oauth2/revoke       RFC 7009
//	*    /api/…               Authorization: Bearer …
//	    401 and WWW-Authenticate with invalid_token · 403 insufficient_scope
//
// Any well-formed scope, audience and resource is granted. JWTs are checked but
// for their signature: the emulator knows nobody's key. The password grant gives
// a refresh token; one more, [OAuth2RefreshToken], was granted before. They have
// no end of their own, and with [OAuth2Settings.Rotate] are good for one use:
// the second one ends all tokens of the account. Access tokens live 1 h. The
// kinds are access and refresh, the accounts "client", or "client/user".
//
// # Faults
//
// Settings change at run time, by [Emulator.Change] or by a POST of JSON to
// /_emulator/faults, which changes the members it names. Logins and other calls
// are disturbed by a [Trouble] each:
//
//	{"login": {"fault": "down", "status": 503, "for": "30s"}}
//	{"login": {"fault": "throttle", "retry_after": "5s", "times": 2, "only": "messaging"}}
//	{"api": {"delay": "2s", "path": "/cgi-bin/media/"}}
//	{"api": {}, "ttl": "3s", "same_token": true, "lifetime": "missing"}
//	{"do": [{"action": "rotate"}, {"action": "kick", "kind": "messaging", "owner": "user-1"}]}
//
// An [Action] ends good tokens: rotate (the vendor replaced them), expire, kick
// (revoked). An owner "user-1" selects "user-1/…" too. DELETE ends all faults.
// [Emulator.Stats], GET /_emulator/stats, has the counters that show how many
// logins a client really made.
//
// The emulator remembers a token for ten minutes after its end, and about
// 262,000 tokens in all; what it forgot is unknown to it.
package emulator
