package proxy

import (
	"context"
	"errors"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// errClientGone says that the client left while it waited.
var errClientGone = errors.New("the client left")

// session is one request's hold on the tokens of its route, from the first
// attempt to the last answer. It knows nothing of how requests are sent.
type session struct {
	route  *route
	params refresher.Params
	left   time.Duration // of the time that the request may wait
	pins   []pin
	tokens []refresher.Token // of the attempt under way, parallel to pins
	passed string            // why a refusal was passed on: a Replay constant; empty: none was
}

// pin is one slot of a session.
type pin struct {
	instance *refresher.Instance // nil: over a limit, on an optional route
	refused  refresher.Token     // the token whose refusal the request met last; zero: none so far
	since    time.Time           // of the first refusal, by the wall clock
	stale    int                 // tokens refused since that were older than that
	renew    bool                // refused by the last answer, to be replaced before a replay
	accepted bool                // the engine was told that the renewal helped
}

// begin pins the instances of the request's values and waits for their tokens.
// release has to be called whatever it returns. Errors are *answer or
// errClientGone.
func (s *session) begin(ctx context.Context, r *route, params refresher.Params) error {
	s.route, s.params, s.left = r, params, r.Wait
	for i := range r.Slots {
		instance, err := r.Slots[i].Pool.Instance(choose(params, r.Slots[i].Params))
		if err != nil {
			if err := s.unavailable(ctx, i, err); !r.Optional || err == errClientGone {
				return err
			}
		}
		s.pins = append(s.pins, pin{instance: instance})
		s.tokens = append(s.tokens, refresher.Token{})
	}
	for i := range s.pins {
		if err := s.take(ctx, i); err != nil && (!r.Optional || err == errClientGone) {
			return err
		}
	}
	if s.waited() { // while one token was waited for, another may have been renewed
		s.refresh()
	}
	return nil
}

// waited reports whether tokens were waited for so far.
func (s *session) waited() bool { return s.left < s.route.Wait }

// refresh takes the newest token of every slot that has a usable one and is not
// to be renewed.
func (s *session) refresh() {
	for i := range s.pins {
		if p := &s.pins[i]; p.instance != nil && !p.renew {
			if t, ok := p.instance.Peek(); ok {
				s.tokens[i] = t
			}
		}
	}
}

// choose returns the values of one slot.
func choose(params refresher.Params, indexes []int) refresher.Params {
	if len(indexes) == 0 {
		return nil
	}
	whole := len(indexes) == len(params)
	for at, i := range indexes {
		whole = whole && at == i
	}
	if whole {
		return params
	}
	chosen := make(refresher.Params, len(indexes))
	for at, i := range indexes {
		chosen[at] = params[i]
	}
	return chosen
}

// take gets the token of slot i, waiting for it if need be.
func (s *session) take(ctx context.Context, i int) error {
	instance := s.pins[i].instance
	if instance == nil {
		return nil
	}
	if t, ok := instance.Peek(); ok {
		s.tokens[i] = t
		return nil
	}
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, s.left)
	defer cancel()
	t, err := instance.Token(bounded)
	s.left = max(s.left-time.Since(start), 0)
	if err != nil {
		return s.unavailable(ctx, i, err)
	}
	s.tokens[i] = t
	return nil
}

// unavailable turns an engine's error into the answer to the client.
func (s *session) unavailable(ctx context.Context, i int, err error) error {
	if ctx.Err() != nil {
		return errClientGone
	}
	own := tokenFailure(s.route.Slots[i].Credential, err)
	if _, limited := errors.AsType[*refresher.LimitError](err); limited {
		s.route.metrics.Limited(own.credential, own.class)
	} else {
		s.route.metrics.Unavailable(own.credential, own.class)
	}
	return own
}

// release unpins the instances. It may be called again.
func (s *session) release() {
	for i := range s.pins {
		if s.pins[i].instance != nil {
			s.pins[i].instance.Release()
		}
	}
	clear(s.pins)
	clear(s.tokens)
	s.pins, s.tokens, s.params = s.pins[:0], s.tokens[:0], nil
}

// settle tells the engine what an answer means. It reports whether the request
// has to be sent again, with other tokens, which then are in s.tokens; if not,
// the answer is passed on. Offers come first, so that an answer that refuses a
// token and brings its successor is repaired without a login. hindrance says why
// the request cannot be sent again, empty: it can; a refused token is rejected
// all the same. It is called once for each answer, with the last verdict on it:
// one that may still refuse a token must give nothing back to a refusal budget.
// Errors are *answer or errClientGone.
func (s *session) settle(ctx context.Context, v exchange.Verdict, hindrance string) (again bool, err error) {
	s.accept(v)
	s.offerAll(v)
	if len(v.Refused) == 0 {
		return false, nil
	}
	if outcome := s.reject(v); outcome != "" {
		s.pass(outcome)
		return false, nil
	}
	if hindrance != "" {
		s.pass(hindrance)
		return false, nil
	}
	return s.renew(ctx)
}

// pass notes that a refusal is passed on to the client, and why.
func (s *session) pass(outcome string) {
	s.passed = outcome
	s.route.metrics.Replay(outcome)
}

// accept gives units of refusal budgets back: a replay was answered without a
// refusal of the token that was renewed for it.
func (s *session) accept(v exchange.Verdict) {
	for i := range s.pins {
		p := &s.pins[i]
		if p.refused.Generation == 0 || p.accepted || refuses(v, i) {
			continue
		}
		p.accepted = true
		p.instance.Accepted(p.refused, s.route.Name)
		s.route.metrics.Replay(ReplayOK)
	}
}

func refuses(v exchange.Verdict, slot int) bool {
	for i := range v.Refused {
		if v.Refused[i].Slot == slot {
			return true
		}
	}
	return false
}

// offerAll offers the tokens that an answer brings.
func (s *session) offerAll(v exchange.Verdict) {
	for i := range v.Renewed {
		s.offer(&v.Renewed[i])
	}
}

func (s *session) offer(r *exchange.Renewal) {
	p := &s.pins[r.Slot]
	if p.instance == nil || s.tokens[r.Slot].Generation == 0 {
		return
	}
	renewed := refresher.Token{Value: r.Value}
	if r.Lifetime > 0 {
		renewed.ExpiresAt = time.Now().Add(r.Lifetime).Round(0)
	}
	p.instance.Offer(s.tokens[r.Slot], renewed)
}

// reject rejects the tokens that the answer refuses. The outcome says why the
// request is not sent again; empty: it may be.
func (s *session) reject(v exchange.Verdict) (outcome string) {
	for i := range v.Refused {
		slot := v.Refused[i].Slot
		p, t := &s.pins[slot], s.tokens[slot]
		switch {
		case p.instance == nil || t.Generation == 0:
			// An optional route's request that went without this token.
			outcome = ReplayNoToken
		case p.refused.Generation != 0 && !p.outdated(t):
			// The renewed token is refused like the one before, so it is not
			// the token: another renewal would not help.
			outcome = ReplayRefused
		default:
			if p.since.IsZero() {
				p.since = time.Now().Round(0)
			}
			p.refused, p.renew = t, true
			cause := refresher.Cause{By: s.route.Name, Signal: v.Refused[i].Signal}
			if p.instance.Reject(t, cause) == refresher.OverBudget {
				outcome = ReplayOverBudget
			}
		}
	}
	return outcome
}

// maxStale is how often a request is sent again because the successor of its token
// was of no use either.
const maxStale = 2

// outdated reports whether t, the successor of a token that was refused, went bad
// in the way of the first one, so that its refusal says nothing about what comes
// after it: it is older than the refusal, since another process got it; or it is
// not in service any more, since a later login ended it, or somebody else was
// refused with it. To wait for the next one costs no login then.
func (p *pin) outdated(t refresher.Token) bool {
	if p.stale == maxStale {
		return false
	}
	if cur, ok := p.instance.Peek(); ok && cur.Generation == t.Generation && !t.IssuedAt.Before(p.since) {
		return false
	}
	p.stale++
	return true
}

// renew waits for the successors of the refused tokens. The others may have been
// renewed meanwhile as well.
func (s *session) renew(ctx context.Context) (again bool, err error) {
	for i := range s.pins {
		p := &s.pins[i]
		if !p.renew {
			continue
		}
		p.renew = false
		if err := s.take(ctx, i); err != nil {
			if s.route.Optional && err != errClientGone {
				s.pass(ReplayNoToken)
				return false, nil
			}
			s.route.metrics.Replay(ReplayNoToken)
			return false, err
		}
		if s.tokens[i].Generation == p.refused.Generation {
			s.pass(ReplaySameToken)
			return false, nil
		}
	}
	s.refresh()
	return true, nil
}
