package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Behind a server that takes "_" for "-" these would end the message elsewhere,
// or be for a connection that is not the client's.
func TestFramingIsRemovedInEverySpelling(t *testing.T) {
	var up echo
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	gone := []string{"Content_length", "Transfer_encoding", "Transfer.encoding", "Proxy_authorization", "Keep_alive", "Upgrade"}
	for _, key := range append(gone, "X_other", "Content-Type", "Content_type") {
		r.Header[key] = []string{"5"}
	}
	newProxy(t, &testPlan{}, &up, nil).ServeHTTP(httptest.NewRecorder(), r)
	for _, key := range gone {
		if _, ok := up.req.Header[key]; ok {
			t.Errorf("%s went upstream", key)
		}
	}
	for _, key := range []string{"X_other", "Content-Type", "Content_type"} {
		if _, ok := up.req.Header[key]; !ok {
			t.Errorf("%s did not go upstream", key)
		}
	}
}
