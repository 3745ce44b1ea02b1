package refresher

import (
	"slices"
	"time"

	"attache/internal/secret"
)

// extendEvery is how often an offer of the current value extends its expiry.
const extendEvery = time.Minute

// Reject says that an upstream refused t. Only the first refusal of the
// current generation starts a login, and takes a unit of the refusal budget of
// c.By; all others of that or an older generation are [Stale], whatever the
// budget. A refusal is [OverBudget] as well while MaxPerHour keeps the next
// login waiting, for up to an hour, or a store that does not take a token that
// rotates: one endpoint that refuses everything must not take the token from all
// others for so long.
func (in *Instance) Reject(t Token, c Cause) Rejection {
	in.mu.Lock()
	r := in.reject(t, c, time.Now())
	ev := in.event(Refused)
	in.mu.Unlock()
	ev.Generation, ev.Signal, ev.By, ev.Rejection = t.Generation, c.Signal, c.By, r
	in.engine.observe(ev)
	return r
}

func (in *Instance) reject(t Token, c Cause, now time.Time) Rejection {
	cur := in.cur.Load()
	switch {
	case cur == nil || !cur.usable || t.Generation != cur.token.Generation && (t.Generation != in.formerly() || !t.sameAs(cur.token)):
		return Stale
	case in.engine.moment(now) < in.passing(), in.starts().free(now, in.policy().MaxPerHour).After(now), in.unsaved > 0 && in.mustSave():
		return OverBudget
	case !in.budget(c.By).spend(t.Generation, now):
		return OverBudget
	}
	in.takeOut(cur)
	return Renewing
}

// takeOut takes the refused token out of service. It is called with in.mu held.
func (in *Instance) takeOut(cur *current) {
	in.rarely().refusals.add(cur.token, in.engine.now())
	in.cur.Store(&current{token: cur.token, usable: false})
	in.plan()
}

// refusals are the values that were refused last, and when. A store may hold one
// of them under a higher number: another process saves late what it has, or
// numbers anew what a store lost.
type refusals []refusal

type refusal struct {
	value secret.String
	at    time.Time // by the wall clock
}

// maxRefusals is how many are kept.
const maxRefusals = 8

func (r *refusals) add(t Token, now time.Time) {
	if len(*r) == maxRefusals {
		*r = append((*r)[:0:0], (*r)[1:]...)
	}
	*r = append(*r, refusal{t.Value, now.Round(0)})
}

// of reports whether t is one of them. The same value from a later login is not.
func (r refusals) of(t Token) bool {
	return slices.ContainsFunc(r, func(one refusal) bool {
		return one.value.Equal(t.Value) && t.IssuedAt.Before(one.at)
	})
}

func (in *Instance) budget(by string) *budget {
	if b := in.findBudget(by); b != nil {
		return b
	}
	r := in.rarely()
	r.budgets = newBudget(by, r.budgets)
	return r.budgets
}

// Accepted says that the replay of a request that was refused with the token
// refused was answered without a refusal of its new token: the renewal was
// worth it, and the unit that it took from the budget of by comes back, once.
func (in *Instance) Accepted(refused Token, by string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if b := in.findBudget(by); b != nil {
		b.refund(refused.Generation)
	}
}

// Offer adopts renewed, a token that an answer carried, if used is the current
// generation, even if that was refused or a login runs; the login's result
// will be published after it. Of renewed, Value, Outputs and ExpiresAt count;
// without Outputs those of the current token stay. The value that is current
// already only extends its expiry, at most once a minute, and makes no
// generation; if it was refused, it stays so. Offer reports whether anything
// changed.
func (in *Instance) Offer(used, renewed Token) bool {
	renewed, replaced := believable(renewed, in.engine.now())
	in.mu.Lock()
	cur := in.cur.Load()
	if renewed.Value.IsEmpty() || cur == nil || cur.token.Generation != used.Generation {
		in.mu.Unlock()
		return false
	}
	if cur.token.Value.Equal(renewed.Value) {
		if !in.extends(cur, renewed) {
			in.mu.Unlock()
			return false
		}
		in.rarely().extended = in.engine.moment(time.Now())
		renewed.Generation = cur.token.Generation
	} else {
		renewed.Generation = cur.token.Generation + 1
		in.forgetSame() // it is about the old value
	}
	if renewed.Outputs == nil {
		renewed.Outputs, renewed.Lasting = cur.token.Outputs, cur.token.Lasting
	}
	children := in.publish(renewed)
	in.planSave(time.Now(), false)
	in.plan()
	ev := in.event(Renewed)
	ev.ExpiryReplaced = replaced
	in.mu.Unlock()
	in.engine.observe(ev)
	tell(children)
	return true
}

// extends reports whether an offer of the current value moves its expiry. It is
// called with in.mu held.
func (in *Instance) extends(cur *current, offered Token) bool {
	old := cur.token.ExpiresAt
	if !cur.usable || old.IsZero() || (!offered.ExpiresAt.IsZero() && !offered.ExpiresAt.After(old)) {
		return false
	}
	last := in.extended()
	return last == 0 || time.Since(in.engine.time(last)) >= extendEvery
}
