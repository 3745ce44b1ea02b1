package simulation

import (
	"context"
	"errors"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// patience is how long a request waits for tokens, as a route's `wait`.
const patience = 10 * time.Second

// load sends requests, as a proxy would on behalf of an application, until the
// process is gone or the load ends.
func (l *life) load() {
	w := l.world
	r := draw(w.seed, streamRequests, uint64(l.id), l.number)
	for {
		timer := time.NewTimer(time.Duration(r.ExpFloat64() * float64(w.profile.Every)))
		select {
		case <-timer.C:
		case <-w.loaded:
			timer.Stop()
			return
		case <-l.dead:
			timer.Stop()
			return
		}
		l.gate()
		if l.gone() {
			return
		}
		n := l.asked.Add(1)
		l.loads.Go(func() {
			cause := l.request(newDice(w.seed, streamRequest, uint64(l.id), l.number, n))
			if l.gone() {
				cause = failedCrash
			}
			w.judge.answered(l, cause)
		})
	}
}

// Why a request failed; the empty text: it did not.
const (
	failedCrash   = "the process crashed"
	failedVendor  = "the API cannot be reached"
	failedRefused = "refused again after a renewal"
	failedBudget  = "refused, over the budget"
	failedToken   = "no token: " // and the class
)

// request takes a token and uses it. A refusal goes the way that the proxy goes:
// reject, wait for the next token, replay once.
func (l *life) request(d *dice) (cause string) {
	wait := patience
	t, cause := l.token(&wait)
	if cause != "" {
		return cause
	}
	good, cause := l.send(d, t)
	if cause != "" || good {
		return cause
	}
	l.world.judge.refused()
	l.gate()
	rejection := l.tokens.Reject(t, refresher.Cause{By: "route", Signal: exchange.SignalStatus})
	l.world.judge.rejected(l, t, rejection)
	if rejection == refresher.OverBudget {
		return failedBudget
	}
	next, cause := l.token(&wait)
	if cause != "" {
		return cause
	}
	good, cause = l.send(d, next)
	switch {
	case cause != "":
		return cause
	case !good:
		return failedRefused
	}
	l.tokens.Accepted(t, "route")
	l.world.judge.repaired()
	return ""
}

// token waits for a usable token, for as long as is left of wait.
func (l *life) token(wait *time.Duration) (refresher.Token, string) {
	ctx, cancel := context.WithTimeout(context.Background(), *wait)
	defer cancel()
	begin := time.Now()
	t, err := l.tokens.Token(ctx)
	*wait -= time.Since(begin)
	if l.running() == l {
		l.world.judge.handedOut(l, t, err)
	}
	if err == nil {
		l.dry.Store(false)
		return t, ""
	}
	if !l.gone() && !l.dry.Swap(true) { // the first of many
		l.world.note("replica %d: a request gets no token: %v", l.id, err)
	}
	class := refresher.Transient
	if none, ok := errors.AsType[*refresher.UnavailableError](err); ok {
		class = none.Class
	}
	return refresher.Token{}, failedToken + class.String()
}

// send sends the request with that token. Neither good nor a cause: the vendor
// refuses the token.
func (l *life) send(d *dice, t refresher.Token) (good bool, cause string) {
	w := l.world
	ctx := context.Background()
	if l.sleep(ctx, between(d.float(), 5*time.Millisecond, 100*time.Millisecond)) != nil {
		return false, failedCrash
	}
	if w.weather.is(VendorDown, everybody) || w.weather.is(VendorHangs, everybody) {
		return false, failedVendor
	}
	good = w.vendor.accepts(t.Value.Reveal())
	most := 300 * time.Millisecond
	if d.float() < 0.05 {
		most = 20 * time.Second // an answer that is late may be about a token of long ago
	}
	if l.sleep(ctx, between(d.float(), 5*time.Millisecond, most)) != nil {
		return false, failedCrash
	}
	return good, ""
}
