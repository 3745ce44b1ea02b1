package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// answerTime bounds one question.
	answerTime = 3 * time.Second
	// answerSize bounds an answer, in bytes: a thousand tokens take a few
	// megabytes.
	answerSize = 16 << 20
)

// client asks one attache. It goes through no proxy and follows no redirect, since
// another server's state would be shown then, and takes nothing compressed, which
// could be larger than it looks.
type client struct {
	transport *http.Transport
	url       string
}

func newClient(url string) *client {
	return &client{url: url, transport: &http.Transport{
		DisableCompression: true, MaxIdleConns: 1, MaxResponseHeaderBytes: 64 << 10,
	}}
}

// ask returns the state of attache. Errors are one line that may be shown.
func (c *client) ask(ctx context.Context) (*status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s, err := c.get(ctx)
	switch netErr, isNet := errors.AsType[net.Error](err); {
	case err == nil:
		return s, nil
	case isNet && netErr.Timeout() || ctx.Err() != nil:
		return nil, fmt.Errorf("no answer within %s", answerTime)
	}
	return nil, errors.New(foreign(err.Error()))
}

func (c *client) get(ctx context.Context) (*status, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if u := r.URL.User; u != nil { // as a client would
		password, _ := u.Password()
		r.SetBasicAuth(u.Username(), password)
	}
	ans, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer ans.Body.Close()
	if ans.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d %s", ans.StatusCode, http.StatusText(ans.StatusCode))
	}
	limited := &io.LimitedReader{R: ans.Body, N: answerSize}
	data, err := io.ReadAll(limited)
	switch {
	case err != nil:
		return nil, err
	case limited.N == 0:
		return nil, fmt.Errorf("its answer is longer than %d MiB", answerSize>>20)
	}
	var s status
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("what answers there is no attache: %w", err)
	}
	if s.Now.IsZero() || s.Started.IsZero() {
		return nil, errors.New("what answers there is no attache")
	}
	return &s, nil
}

// shownURL is where attache is asked, without a password.
func shownURL(target string) string {
	u, err := url.Parse(strings.TrimSuffix(target, "/api/status"))
	if err != nil {
		return foreign(target)
	}
	return foreign(u.Redacted())
}
