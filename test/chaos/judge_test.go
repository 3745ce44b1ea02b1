package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// stage is a scene that a test sets.
type stage struct {
	here, anywhere []kind
	has            *issue
	lost           bool
}

func (s stage) met(int, time.Duration, time.Duration) []kind           { return s.here }
func (s stage) elsewhere(int, time.Duration, time.Duration) []kind     { return s.anywhere }
func (s stage) emptied(int, time.Duration) bool                        { return s.lost }
func (s stage) token(string, int, time.Duration, time.Duration) *issue { return s.has }
func noToken() attempt {
	return attempt{status: 503, proxyError: "destination_unavailable", class: "transient"}
}
func permanent(account string) attempt {
	return attempt{status: 503, proxyError: "destination_unavailable", class: classPermanent, account: account}
}
func answered(status int, proxyError string) attempt {
	return attempt{status: status, proxyError: proxyError}
}
func failedWith(f failure) attempt { return attempt{failure: f} }

func TestEveryAnswerHasACause(t *testing.T) {
	held, resetAPI, resetRedis := onLink(blackHole, toAPI), onLink(resets, toAPI), onLink(resets, toRedis)
	for name, c := range map[string]struct {
		a       attempt
		s       stage
		want    cause
		mistake bool
	}{
		"good":                                  {attempt{right: true, status: 200}, stage{}, causeNone, false},
		"good, whatever is broken":              {attempt{right: true, status: 200}, stage{here: []kind{killed, held}}, causeNone, false},
		"a refusal came through":                {answered(200, ""), stage{here: []kind{revoked}}, causeWrong, true},
		"401 came through":                      {answered(401, ""), stage{here: []kind{revoked, redisKilled}}, causeWrong, true},
		"another request's answer":              {answered(200, ""), stage{}, causeWrong, true},
		"no token while Redis is down":          {noToken(), stage{here: []kind{redisKilled}}, without(redisKilled), false},
		"no token, another process is cut off":  {noToken(), stage{anywhere: []kind{resetRedis}}, without(resetRedis), false},
		"no token and nothing broken":           {noToken(), stage{}, causeUnexplained, true},
		"a revocation alone is repaired":        {noToken(), stage{here: []kind{revoked}, anywhere: []kind{revoked}}, causeUnexplained, true},
		"the vendor refuses logins":             {permanent("chat/shop"), stage{here: []kind{redisKilled}, lost: true}, causeUnexplained, true},
		"a session is lost":                     {permanent("session/app"), stage{here: []kind{redisKilled}}, causeUnexplained, true},
		"a session is lost with its store":      {permanent("session/app"), stage{lost: true}, causeSession, false},
		"no token, the API broken":              {noToken(), stage{here: []kind{resetAPI}}, causeUnexplained, true},
		"no token though there is a good one":   {noToken(), stage{here: []kind{redisKilled}, has: &issue{}}, causeCould, true},
		"the good one is old by a wrong clock":  {noToken(), stage{here: []kind{clockWrong}, has: &issue{}}, without(clockWrong), false},
		"503 of the upstream":                   {attempt{status: 503, body: "busy"}, stage{here: []kind{redisKilled}}, causeWrong, true},
		"503 of attache without a class":        {answered(503, "destination_unavailable"), stage{here: []kind{redisKilled}}, causeWrong, true},
		"429":                                   {attempt{status: 429, proxyError: "http_request_error", class: "logins"}, stage{here: []kind{redisKilled}}, causeWrong, true},
		"502 while connections are reset":       {answered(502, "connection_terminated"), stage{here: []kind{resetAPI}}, cause502, false},
		"502 while they are slow":               {answered(502, "connection_terminated"), stage{here: []kind{onLink(latency, toAPI)}}, causeWrong, true},
		"502 of the upstream":                   {answered(502, ""), stage{here: []kind{resetAPI}}, causeWrong, true},
		"504 in a black hole":                   {answered(504, "http_response_timeout"), stage{here: []kind{held}}, cause504, false},
		"504 after a pause":                     {answered(504, "http_response_timeout"), stage{here: []kind{paused}}, cause504Paused, false},
		"504 of the upstream after a pause":     {answered(504, ""), stage{here: []kind{paused}}, causeWrong, true},
		"504 while connections are reset":       {answered(504, "http_response_timeout"), stage{here: []kind{resetAPI}}, causeWrong, true},
		"refused, the process is dead":          {failedWith(notReached), stage{here: []kind{killed}}, causeGone, false},
		"refused, another process is dead":      {failedWith(notReached), stage{anywhere: []kind{killed}}, causeWrong, true},
		"lost, the process is dead":             {failedWith(lost), stage{here: []kind{fileDamaged}}, causeGone, false},
		"lost, the process stands still":        {failedWith(lost), stage{here: []kind{paused}}, causeGone, false},
		"cut short, the process stands still":   {failedWith(cutShort), stage{here: []kind{paused}}, causeWrong, true},
		"lost, the API's connections are reset": {failedWith(lost), stage{here: []kind{resetAPI}}, causeWrong, true},
		"cut, the API's connections are reset":  {failedWith(cutShort), stage{here: []kind{resetAPI}}, causeCut, false},
		"cut for no reason":                     {failedWith(cutShort), stage{here: []kind{redisKilled}}, causeWrong, true},
		"cut, the process is dead":              {failedWith(cutShort), stage{here: []kind{killed}}, causeGone, false},
		"nothing within the client's patience":  {failedWith(tooLate), stage{here: []kind{paused, held}}, causeWrong, true},
	} {
		if got := judge(c.a, c.s); got.cause != c.want || got.mistake != c.mistake {
			t.Errorf("%s: %q, mistake %t; want %q, %t", name, got.cause, got.mistake, c.want, c.mistake)
		}
	}
}

func TestAnswersAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		text, sent string
		right      bool
	}{
		"right":             {200, `{"errCode": 0, "data": {"id": "1-2", "sum": "` + sum([]byte("x")) + `"}}`, "x", true},
		"another request's": {200, `{"errCode": 0, "data": {"id": "1-3", "sum": "` + sum([]byte("x")) + `"}}`, "x", false},
		"another body's":    {200, `{"errCode": 0, "data": {"id": "1-2", "sum": "` + sum([]byte("y")) + `"}}`, "x", false},
		"refused":           {200, `{"errCode": 1503, "data": {"id": "1-2", "sum": "` + sum([]byte("x")) + `"}}`, "x", false},
		"no code":           {200, `{"data": {"id": "1-2", "sum": "` + sum([]byte("x")) + `"}}`, "x", false},
		"another status":    {201, `{"errCode": 0, "data": {"id": "1-2", "sum": "` + sum([]byte("x")) + `"}}`, "x", false},
		"half":              {200, `{"errCode": 0, "data": {"id": "1-2", "su`, "x", false},
		"nothing":           {200, ``, "x", false},
	} {
		a := attempt{id: "1-2", status: c.status}
		a.read([]byte(c.text), c.sent)
		if a.right != c.right {
			t.Errorf("%s: right is %t", name, a.right)
		}
	}
}

func TestErrorsOfTheClientAreSorted(t *testing.T) {
	for want, c := range map[failure]struct {
		err    error
		status int
	}{
		noFailure:  {nil, http.StatusOK},
		notReached: {fmt.Errorf("dial: %w", syscall.ECONNREFUSED), 0},
		lost:       {fmt.Errorf("read: %w", syscall.ECONNRESET), 0},
		cutShort:   {errors.New("unexpected EOF"), http.StatusOK},
		tooLate:    {fmt.Errorf("waiting: %w", context.DeadlineExceeded), 0},
	} {
		if got := failureOf(c.err, c.status); got != want {
			t.Errorf("%v with status %d is %q, want %q", c.err, c.status, got, want)
		}
	}
	if got := failureOf(os.ErrDeadlineExceeded, http.StatusOK); got != tooLate {
		t.Errorf("a time-out within the body is %q", got)
	}
}

func TestFaultsMeetTheirOwn(t *testing.T) {
	l := &faultLog{always: []kind{thirdFails}}
	f := &fault{Kind: killed, Whom: []int{3}}
	l.begin(f, 10*time.Second)
	has := func(p int, first, last time.Duration) bool { return hasAny(l.met(p, first, last), killed) }
	if !has(3, 9*time.Second, 11*time.Second) || has(2, 9*time.Second, 11*time.Second) || has(3, 8*time.Second, 9*time.Second) {
		t.Error("a fault that lasts meets the wrong")
	}
	l.end(f, 12*time.Second)
	if tail := killed.tail(); !has(3, 12*time.Second+tail, 30*time.Second) || has(3, 13*time.Second+tail, 30*time.Second) {
		t.Error("the tail of a fault is not kept to")
	}
	if !hasAny(l.met(9, 0, 0), thirdFails) {
		t.Error("what lasts for the whole part is not met")
	}
}
