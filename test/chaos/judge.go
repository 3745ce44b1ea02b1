package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// cause is why a request failed.
type cause string

const (
	causeNone cause = "" // it did not
	// causeGone: the plan killed the process. The request is sent again, to another
	// one if there is one.
	causeGone cause = "the process was killed or stood still; the request was sent again"
	// causeLost: as causeGone, and sending again did not help.
	causeLost cause = "processes were killed, however often it was tried again"
	// The API was broken by the plan.
	cause502 cause = "502: the plan reset or held connections to the API"
	cause504 cause = "504: the plan held what was sent to the API"
	// cause504Paused: the time-out passed while the process stood still.
	cause504Paused cause = "504: the process was paused for longer than the API may take"
	causeCut       cause = "the answer ended early: the plan reset its connection"
	// causeCould is the one that must not be: a token could still have been valid.
	causeCould cause = "503 though a token could still have been valid"
	// causeUnexplained: nothing was broken that is why there is no token.
	causeUnexplained cause = "503 that nothing in the plan explains"
	causeWrong       cause = "wrong answer"
	// causeSession: a refresh token was used up that the store should have had.
	causeSession cause = "503: the store lost a refresh token with its data"
)

// unexcused lists the causes that nothing explains and that must not be.
func unexcused() []cause { return []cause{causeCould, causeUnexplained, causeWrong} }

// without is the cause of an answer 503 while k was why nobody could log in.
func without(k kind) cause { return cause("503: " + string(k)) }

// verdict is what a request is judged to be.
type verdict struct {
	cause cause
	// mistake: attache must not have answered so.
	mistake bool
	// detail tells more of a mistake.
	detail string
}

// faultLog has the faults that have begun.
type faultLog struct {
	mu     sync.RWMutex
	begun  []*fault
	always []kind // faults that last for the whole part
}

func (l *faultLog) begin(f *fault, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.Began = now
	l.begun = append(l.begun, f)
}

func (l *faultLog) end(f *fault, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.Ended = now
}

// forever is the end of what has not ended yet.
const forever = time.Duration(1<<63 - 1)

// met returns the kinds that met process p from first to last, tails included.
// Those of families that only others' processes can feel count for all.
func (l *faultLog) met(p int, first, last time.Duration) []kind {
	l.mu.RLock()
	defer l.mu.RUnlock()
	kinds := slices.Clone(l.always)
	for _, f := range l.begun {
		end := forever
		if f.Ended != 0 {
			end = f.Ended + f.Kind.tail()
		}
		if f.Began <= last && end >= first && (len(f.Whom) == 0 || slices.Contains(f.Whom, p)) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

// scene is what the judgement of an answer needs to know.
type scene interface {
	// met returns the kinds of faults that process p met from first to last.
	met(p int, first, last time.Duration) []kind
	// elsewhere returns the kinds that any process met which has the same store
	// as p.
	elsewhere(p int, first, last time.Duration) []kind
	// emptied reports whether the store of p has lost its data before.
	emptied(p int, before time.Duration) bool
	// token returns a token of the account that was good all the time from first
	// to last and that the process had, or could have had from its store; nil:
	// there is none.
	token(account string, p int, first, last time.Duration) *issue
}

// judge says why an attempt came out as it did.
func judge(a attempt, s scene) verdict {
	met := s.met(a.process, a.start, a.end)
	switch a.failure {
	case notReached, lost:
		// The system may end a connection that a paused process did not accept yet.
		if hasAny(met, killed, fileKilled, fileDamaged) || a.failure == lost && slices.Contains(met, paused) {
			return verdict{cause: causeGone}
		}
		return wrong(a, fmt.Sprintf("%s: %s", a.failure, a.body))
	case cutShort:
		if hasAny(met, killed, fileKilled, fileDamaged) {
			return verdict{cause: causeGone}
		}
		if brokenAPI(met) {
			return verdict{cause: causeCut}
		}
		return wrong(a, fmt.Sprintf("%s: %s", a.failure, a.body))
	case tooLate:
		return wrong(a, fmt.Sprintf("%s: %s", a.failure, a.body))
	}
	switch {
	case a.right:
		return verdict{}
	case a.status == http.StatusServiceUnavailable && a.proxyError != "" && a.class != "":
		return judgeNoToken(a, s, met)
	case a.status == http.StatusBadGateway && a.proxyError != "" && brokenAPI(met):
		return verdict{cause: cause502}
	case a.status == http.StatusGatewayTimeout && a.proxyError != "" && slices.Contains(met, onLink(blackHole, toAPI)):
		return verdict{cause: cause504}
	case a.status == http.StatusGatewayTimeout && a.proxyError != "" && slices.Contains(met, paused):
		return verdict{cause: cause504Paused}
	}
	return wrong(a, fmt.Sprintf("status %d, Proxy-Status %q: %s", a.status, a.proxyError, a.body))
}

func wrong(a attempt, what string) verdict {
	return verdict{cause: causeWrong, mistake: true, detail: fmt.Sprintf("%.2fs–%.2fs process %d, %s: %s", a.start.Seconds(), a.end.Seconds(), a.process, a.account, what)}
}

func brokenAPI(met []kind) bool {
	return hasAny(met, onLink(resets, toAPI), onLink(blackHole, toAPI))
}

// judgeNoToken judges a 503. There must have been no token that the process
// could have used, and something that kept everybody from getting one.
func judgeNoToken(a attempt, s scene, met []kind) verdict {
	where := fmt.Sprintf("%.2fs–%.2fs process %d, %s (%s)", a.start.Seconds(), a.end.Seconds(), a.process, a.account, a.class)
	if i := s.token(a.account, a.process, a.start, a.end); i != nil && !slices.Contains(met, clockWrong) {
		return verdict{causeCould, true, fmt.Sprintf("%s: the token that process %d got at %.2fs was good all the time", where, i.process, i.issued.Seconds())}
	}
	if a.class == classPermanent {
		if strings.HasPrefix(a.account, "session/") && s.emptied(a.process, a.end) {
			return verdict{cause: causeSession}
		}
		return verdict{causeUnexplained, true, where}
	}
	// Who held the lease, or another process's refusals, may keep this one waiting.
	for _, met := range [][]kind{met, s.elsewhere(a.process, a.start, a.end)} {
		for _, k := range reasonsForNoToken() {
			if slices.Contains(met, k) {
				return verdict{cause: without(k)}
			}
		}
	}
	return verdict{causeUnexplained, true, where}
}

// classPermanent is the class of a login that the vendor will refuse again. The
// plan makes none.
const classPermanent = "permanent"

// reasonsForNoToken lists the kinds of faults that can be why there is no token,
// the most compelling first.
func reasonsForNoToken() []kind {
	return []kind{redisKilled, redisEmptied, redisPaused, onLink(blackHole, toRedis), onLink(resets, toRedis),
		loginsHang, loginsRefused, throttled, thirdFails, onLink(blackHole, toLogin), onLink(resets, toLogin), slowLogins,
		onLink(latency, toRedis), onLink(slicing, toRedis), diskFull, fileDamaged, killed, paused, fileKilled, clockWrong}
}

func hasAny(kinds []kind, any ...kind) bool {
	return slices.ContainsFunc(any, func(k kind) bool { return slices.Contains(kinds, k) })
}
