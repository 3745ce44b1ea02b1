// These tests check what transcripts cannot show: who shares a token with
// whom, and when tokens are renewed.
package presets_test

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// bind makes a credential of a preset. A value that begins with "header:" comes
// from the request.
func bind(t *testing.T, preset string, with map[string]string) *recipe.Credential {
	t.Helper()
	r, ok := recipe.Preset(preset)
	if !ok {
		t.Fatalf("there is no recipe %s", preset)
	}
	origins := map[string]recipe.Origin{}
	for name, text := range with {
		if header, ok := strings.CutPrefix(text, "header:"); ok {
			origins[name] = recipe.Origin{Request: exchange.Name{In: exchange.Header, Name: header}}
			continue
		}
		origins[name] = recipe.Origin{Ref: secret.Literal(text)}
	}
	rep := &yamldoc.Report{}
	c, ok := recipe.Bind(rep, r, recipe.BindConfig{Name: "cred", With: origins})
	if !ok {
		t.Fatal(rep.Err())
	}
	return c
}

// token returns the program of a token.
func token(t *testing.T, c *recipe.Credential, name string) *recipe.TokenProgram {
	t.Helper()
	for _, p := range c.Tokens() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("%s has no token %s", c.Recipe().Name, name)
	return nil
}

// with returns base with more names and values.
func with(base map[string]string, more ...string) map[string]string {
	merged := maps.Clone(base)
	for i := 0; i+1 < len(more); i += 2 {
		merged[more[i]] = more[i+1]
	}
	return merged
}

func ums() map[string]string {
	return map[string]string{"channel_key": "k", "master_secret": "s", "type": "dingtalkcc"}
}

func qiniu() map[string]string {
	return map[string]string{"endpoint": "https://im.example.com", "app_id": "a", "user_id": "1", "password": "p"}
}

func aicc() map[string]string {
	return map[string]string{"endpoint": "https://aicc.example.com", "app_key": "k", "app_secret": "s", "channel_id": "c", "user_id": "header:X-User-Id"}
}

func openim() map[string]string {
	return map[string]string{"endpoint": "https://im.example.com", "secret": "s"}
}

func openimUser() map[string]string {
	return with(openim(), "platform_id", "1", "user_id", "header:X-User-Id")
}

func wechat() map[string]string {
	return map[string]string{"appid": "a", "secret": "s"}
}

func component() map[string]string {
	return map[string]string{"component_appid": "c", "component_appsecret": "s", "component_verify_ticket": "t"}
}

func authorizer() map[string]string {
	return map[string]string{"component_appid": "c", "component_token": "t", "authorizer_appid": "a", "authorizer_refresh_token": "r"}
}

func wecom() map[string]string {
	return map[string]string{"corpid": "c", "secret": "s"}
}

func dingtalk() map[string]string {
	return map[string]string{"app_key": "k", "app_secret": "s"}
}

func feishu() map[string]string {
	return map[string]string{"app_id": "a", "app_secret": "s"}
}

func iam() map[string]string {
	return map[string]string{"domain": "d", "user": "u", "password": "p"}
}

func azure() map[string]string {
	return map[string]string{"resource": "https://vault.azure.net"}
}

func approle() map[string]string {
	return map[string]string{"endpoint": "https://vault.example.com", "role_id": "r", "secret_id": "s"}
}

func easemob() map[string]string {
	return map[string]string{"endpoint": "https://a1.example.com", "org_name": "o", "app_name": "a", "client_id": "c", "client_secret": "s"}
}

func arcgis() map[string]string {
	return map[string]string{"username": "u", "password": "p"}
}

func oauth2(more ...string) map[string]string {
	return with(map[string]string{"token_url": "https://id.example.com/token", "client_id": "c", "client_secret": "s"}, more...)
}

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pemOf(key)
})

func withKey(more ...string) map[string]string {
	return with(map[string]string{"token_url": "https://id.example.com/token", "private_key": rsaKey()}, more...)
}

func appInstallation() map[string]string {
	return map[string]string{"app_id": "1", "installation_id": "2", "private_key": rsaKey()}
}

// Credentials that differ in what no login mentions share their tokens; all
// others must not.
func TestWhoSharesAToken(t *testing.T) {
	tests := []struct {
		what, preset, token string
		a, b                map[string]string
		same                bool
	}{
		{"both DingTalk APIs", "jiguang-ums", "channel", ums(), with(ums(), "dingtalk", "new"), true},
		{"another channel", "jiguang-ums", "channel", ums(), with(ums(), "channel_key", "other"), false},
		{"another type", "jiguang-ums", "channel", ums(), with(ums(), "type", "wechatoa"), false},
		{"another secret", "jiguang-ums", "channel", ums(), with(ums(), "master_secret", "other"), false},
		{"another user", "qiniu-im", "access", qiniu(), with(qiniu(), "user_id", "2"), false},
		{"another application", "qiniu-im", "access", qiniu(), with(qiniu(), "app_id", "b"), false},
		{"another device", "qiniu-im", "access", qiniu(), with(qiniu(), "device_guid", "d"), false},
		{"access, another channel", "huawei-aicc", "access", aicc(), with(aicc(), "channel_id", "d"), true},
		{"access, one user", "huawei-aicc", "access", aicc(), with(aicc(), "user_id", "anna"), true},
		{"messaging, another channel", "huawei-aicc", "messaging", aicc(), with(aicc(), "channel_id", "d"), false},
		{"messaging, another language", "huawei-aicc", "messaging", aicc(), with(aicc(), "locale", "en"), true},
		{"messaging, another name", "huawei-aicc", "messaging", aicc(), with(aicc(), "user_name", "header:X-User-Name"), true},
		{"messaging, another application", "huawei-aicc", "messaging", aicc(), with(aicc(), "app_key", "j"), false},
		{"another account", "wechat/stable-token", "access", wechat(), with(wechat(), "appid", "b"), false},
		{"another ticket", "wechat/component", "component", component(), with(component(), "component_verify_ticket", "u"), true},
		{"another account", "wechat/authorizer", "authorizer", authorizer(), with(authorizer(), "authorizer_appid", "b"), false},
		{"another application of the company", "wecom", "access", wecom(), with(wecom(), "secret", "other"), false},
		{"Lark and Feishu", "feishu", "tenant", feishu(), with(feishu(), "endpoint", "https://open.larksuite.com"), false},
		{"another project", "huawei/iam", "access", iam(), with(iam(), "project", "cn-north-4"), false},
		{"another user", "huawei/iam", "access", iam(), with(iam(), "user", "v"), false},
		{"another resource", "azure/managed-identity", "access", azure(), with(azure(), "resource", "https://management.azure.com/"), false},
		{"another identity", "azure/managed-identity", "access", azure(), with(azure(), "client_id", "c"), false},
		{"another namespace", "vault/approle", "vault", approle(), with(approle(), "namespace", "n"), false},
		{"another lifetime", "easemob", "app", easemob(), with(easemob(), "ttl", "600"), false},
		{"another place", "arcgis", "access", arcgis(), with(arcgis(), "place", "query"), true},
		{"another platform", "openim", "user", openimUser(), with(openimUser(), "platform_id", "2"), false},
		{"administrator, another platform", "openim/user", "admin", openimUser(), with(openimUser(), "platform_id", "2"), true},
		{"user, another administrator", "openim/user", "user", openimUser(), with(openimUser(), "admin_id", "boss"), false},
		{"another scope", "oauth2/client-credentials", "access", oauth2(), oauth2("scope", "read"), false},
		{"another server", "oauth2/client-credentials", "access", oauth2(), oauth2("token_url", "https://other.example.com/token"), false},
		{"another consent", "oauth2/refresh-token", "access", oauth2("refresh_token", "t"), oauth2("refresh_token", "u"), false},
		{"another user", "oauth2/password", "access", oauth2("username", "anna", "password", "p"), oauth2("username", "otto", "password", "p"), false},
	}
	for _, tt := range tests {
		a := token(t, bind(t, tt.preset, tt.a), tt.token).Key
		b := token(t, bind(t, tt.preset, tt.b), tt.token).Key
		if d := cmp.Diff(a, b); (d == "") != tt.same {
			t.Errorf("%s, %s: same token is %v, want %v\n%s", tt.preset, tt.what, d == "", tt.same, d)
		}
	}
}

// A request parameter makes instances only of those tokens whose login
// mentions it.
func TestTokensOfUsers(t *testing.T) {
	tests := []struct {
		preset, token string
		with          map[string]string
		want          []refresher.Param
	}{
		{"huawei-aicc", "access", aicc(), nil},
		{"huawei-aicc", "messaging", with(aicc(), "user_name", "header:X-User-Name"), []refresher.Param{
			{Name: "user_id", Identity: true}, {Name: "user_name", Identity: false}}},
		{"openim", "user", openimUser(), []refresher.Param{{Name: "user_id", Identity: true}}},
		{"openim/user", "admin", openimUser(), nil},
		{"openim/user", "user", openimUser(), []refresher.Param{{Name: "user_id", Identity: true}}},
		{"github/app-installation", "installation", with(appInstallation(), "installation_id", "header:X-Installation"),
			[]refresher.Param{{Name: "installation_id", Identity: true}}},
		{"basic", "basic", map[string]string{"username": "header:X-User", "password": "header:X-Password"}, []refresher.Param{
			{Name: "username", Identity: true}, {Name: "password", Identity: true}}},
		{"oauth2/token-exchange", "access", oauth2("subject_token", "header:X-Subject-Token"), []refresher.Param{{Name: "subject_token", Identity: true}}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, token(t, bind(t, tt.preset, tt.with), tt.token).Params); d != "" {
			t.Errorf("%s, token %s (-want +got):\n%s", tt.preset, tt.token, d)
		}
	}
}

// What recipes say about renewal. Margins and hourly limits are left to whoever
// knows the account.
func TestRenewal(t *testing.T) {
	tests := []struct {
		preset string
		with   map[string]string
		want   map[string]refresher.Policy
	}{
		{"wechat/token", wechat(), map[string]refresher.Policy{"access": {PreviousDies: true}}},
		{"wechat/stable-token", wechat(), map[string]refresher.Policy{"access": {UselessBefore: 5 * time.Minute, SameValueBacksOff: true}}},
		{"wechat/component", component(), map[string]refresher.Policy{"component": {PreviousDies: true}}},
		{"wechat/authorizer", authorizer(), map[string]refresher.Policy{"authorizer": {Rotates: true}}},
		{"wecom", wecom(), map[string]refresher.Policy{"access": {SameValueBacksOff: true}}},
		{"dingtalk/new", dingtalk(), map[string]refresher.Policy{"access": {SameValueBacksOff: true}}},
		{"dingtalk/old", dingtalk(), map[string]refresher.Policy{"access": {SameValueBacksOff: true}}},
		{"feishu", feishu(), map[string]refresher.Policy{"tenant": {UselessBefore: 30 * time.Minute, SameValueBacksOff: true}}},
		{"baidu", map[string]string{"api_key": "k", "secret_key": "s"}, map[string]refresher.Policy{"access": {}}},
		{"huawei/iam", iam(), map[string]refresher.Policy{"access": {}}},
		{"gcp/metadata", nil, map[string]refresher.Policy{"access": {UselessBefore: 225 * time.Second, SameValueBacksOff: true}}},
		{"azure/managed-identity", azure(), map[string]refresher.Policy{"access": {SameValueBacksOff: true}}},
		{"aws/imds", nil, map[string]refresher.Policy{"session": {}}},
		{"vault/approle", approle(), map[string]refresher.Policy{"vault": {RenewsInPlace: true}}},
		{"vault/kubernetes", map[string]string{"endpoint": "https://vault.example.com", "role": "r"}, map[string]refresher.Policy{"service_account": {SameValueBacksOff: true}, "vault": {RenewsInPlace: true}}},
		{"getui", map[string]string{"app_id": "a", "app_key": "k", "master_secret": "s"}, map[string]refresher.Policy{"access": {}}},
		{"easemob", easemob(), map[string]refresher.Policy{"app": {}}},
		{"arcgis", arcgis(), map[string]refresher.Policy{"access": {}}},
		{"jiguang-ums", ums(), map[string]refresher.Policy{"channel": {SameValueBacksOff: true}}},
		{"qiniu-im", qiniu(), map[string]refresher.Policy{"access": {}}},
		{"huawei-aicc", aicc(), map[string]refresher.Policy{"access": {}, "messaging": {}}},
		{"openim", openimUser(), map[string]refresher.Policy{"user": {}}},
		{"openim/admin", openim(), map[string]refresher.Policy{"admin": {}}},
		{"openim/user", openimUser(), map[string]refresher.Policy{"admin": {}, "user": {PreviousDies: true}}},
		{"oauth2/client-credentials", oauth2(), map[string]refresher.Policy{"access": {}}},
		{"oauth2/client-credentials-post", oauth2(), map[string]refresher.Policy{"access": {}}},
		{"oauth2/client-credentials-unescaped", oauth2(), map[string]refresher.Policy{"access": {}}},
		{"oauth2/private-key-jwt", withKey("client_id", "c"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/private-key-jwt-ps256", withKey("client_id", "c"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/private-key-jwt-es256", assertion("client_id", "c"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/password", oauth2("username", "u", "password", "p"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/password-post", oauth2("username", "u", "password", "p"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/jwt-bearer", withKey("issuer", "i"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/jwt-bearer-es256", assertion("issuer", "i", "subject", "anna"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/refresh-token", oauth2("refresh_token", "t"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/refresh-token-post", oauth2("refresh_token", "t"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/refresh-token", oauth2("refresh_token", "t", "rotates", "true"), map[string]refresher.Policy{"access": {Rotates: true}}},
		{"oauth2/refresh-token-post", oauth2("refresh_token", "t", "rotates", "true"), map[string]refresher.Policy{"access": {Rotates: true}}},
		{"oauth2/token-exchange", oauth2("subject_token", "t"), map[string]refresher.Policy{"access": {}}},
		{"oauth2/token-exchange-post", oauth2("subject_token", "t"), map[string]refresher.Policy{"access": {}}},
		{"bearer", map[string]string{"token": "t"}, map[string]refresher.Policy{"bearer": {SameValueBacksOff: true}}},
		{"basic", map[string]string{"username": "u", "password": "p"}, map[string]refresher.Policy{"basic": {SameValueBacksOff: true}}},
		{"kubernetes/service-account", nil, map[string]refresher.Policy{"account": {SameValueBacksOff: true}}},
		{"github/app-installation", appInstallation(), map[string]refresher.Policy{"installation": {}}},
		{"salesforce/jwt", map[string]string{"client_id": "c", "username": "u", "private_key": rsaKey()}, map[string]refresher.Policy{"access": {}}},
		{"zoom/server-to-server", map[string]string{"account_id": "a", "client_id": "c", "client_secret": "s"}, map[string]refresher.Policy{"access": {}}},
		{"api-key", map[string]string{"api_key": "k"}, map[string]refresher.Policy{"key": {SameValueBacksOff: true}}},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		seen[tt.preset] = true
		got := map[string]refresher.Policy{}
		for _, p := range bind(t, tt.preset, tt.with).Tokens() {
			policy := p.Policy
			policy.Timeout = 0 // every recipe has one
			got[p.Name] = policy
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.preset, d)
		}
	}
	for _, name := range recipe.PresetNames() {
		if !seen[name] {
			t.Errorf("%s: nothing is said here about its renewal", name)
		}
	}
}
