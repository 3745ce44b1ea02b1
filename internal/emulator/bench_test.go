package emulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sink is a ResponseWriter that throws everything away.
type sink struct{ h http.Header }

func (s sink) Header() http.Header         { return s.h }
func (s sink) Write(p []byte) (int, error) { return len(p), nil }
func (s sink) WriteHeader(int)             {}

// BenchmarkCall is the cost of one accepted call in the handlers alone.
func BenchmarkCall(b *testing.B) {
	for _, vendor := range Names() {
		b.Run(vendor, func(b *testing.B) {
			e, err := New(vendor, Options{})
			if err != nil {
				b.Fatal(err)
			}
			r := goodCall(b, e)
			w := sink{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				e.ServeHTTP(w, r)
			}
			if s := e.Stats(); len(s.Refused) > 0 {
				b.Fatalf("refused %v", s.Refused)
			}
		})
	}
}

// goodCall returns a request with a good token and without a body.
func goodCall(b *testing.B, e *Emulator) *http.Request {
	tb := &bench{t: &testing.T{}, Emulator: e}
	var target string
	var headers []string
	switch e.Vendor() {
	case UMS:
		target = "/wechat/cgi-bin/user/get?access_token=" + tb.umsToken("wechatoa")
	case QiniuIM:
		target, headers = "/user/info", []string{qiniuApp, "access-token: " + tb.qiniuToken(1)}
	case HuaweiAICC:
		access := tb.aiccAccess()
		target = aiccAPI + "poll?channel=WEB&receiverId=u"
		headers = []string{aiccKey, access, tb.aiccMessaging(access, "u")}
	case OpenIM:
		target, headers = "/user/info", []string{opID, tb.openIMUser("u", 1)}
	case OAuth2:
		target, headers = "/api/orders", []string{"Authorization: Bearer " + tb.oauth2Access()}
	}
	method := map[bool]string{true: "POST", false: "GET"}[e.Vendor() == OpenIM]
	r := httptest.NewRequest(method, target, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}
