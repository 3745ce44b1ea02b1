package recipe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"attache/internal/secret"
	"attache/refresher"
)

// beganWith is the output that remembers which initial value a token without a
// login began with, by a hash: when the parameter changes, the token begins
// anew. No output of a recipe can have this name.
const beganWith = ".initial"

// way is one request that may give a token.
type way struct {
	program *TokenProgram
	in      refresher.Input
	began   string // the hash of the initial value, if it is what the request sends
}

// obtain goes through the ways to a token, until one leads there or fails in
// another way than being refused for good. tr may be nil.
func (s *Source) obtain(ctx context.Context, in refresher.Input, tr *tracer) (t refresher.Token, warnings []string, err error) {
	ways, err := s.ways(in)
	if err != nil {
		return refresher.Token{}, nil, err
	}
	for i, w := range ways {
		a := &attempt{s: s, t: w.program, in: w.in, trace: tr}
		t, err = a.run(ctx)
		warnings = append(warnings, a.warnings...)
		last := i == len(ways)-1
		switch {
		case err == nil && (last || w.program != s.program.refresh || s.lengthens(w.in.Previous, t)):
			return s.complete(t, w), warnings, nil
		case err == nil: // renewed in place, but near the end of what the vendor allows
		case last || !refusedForGood(err):
			return refresher.Token{}, warnings, err
		default:
			warnings = append(warnings, "the refresh was refused for good, so the next way to a token is taken: "+err.Error())
		}
	}
	return refresher.Token{}, warnings, err // there is always a way
}

// ways lists what may be tried, in this order.
func (s *Source) ways(in refresher.Input) ([]way, error) {
	t := s.program
	if t.refresh == nil {
		return []way{{program: t, in: in}}, nil
	}
	refresh, usable := way{program: t.refresh, in: in}, s.canRefresh(in)
	if t.decl.refresh.initial == nil {
		login := way{program: t, in: in}
		if usable && !in.Anew {
			return []way{refresh, login}, nil
		}
		return []way{login}, nil
	}
	begin, err := s.begin(in)
	switch {
	case err != nil:
		return nil, err
	case !usable:
		return []way{begin}, nil
	case in.Previous.Outputs[beganWith].Reveal() == begin.began:
		return []way{refresh}, nil
	}
	return []way{begin, refresh}, nil // somebody gave a new one; the old one may still serve
}

// canRefresh reports whether the token before has what the refresh needs.
func (s *Source) canRefresh(in refresher.Input) bool {
	if s.program.decl.refresh.needs == needsRefreshToken {
		return !in.Previous.Outputs[needsRefreshToken].IsEmpty()
	}
	return !in.Previous.Value.IsEmpty() && !in.Refused && !in.Previous.ExpiredAt(s.now())
}

// begin is the way that begins with the initial value.
func (s *Source) begin(in refresher.Input) (way, error) {
	a := &attempt{s: s, t: s.program, in: in}
	if err := a.prepare(); err != nil {
		return way{}, a.fail(refresher.Permanent, err.Error(), err)
	}
	refresh := s.program.decl.refresh
	text, ok := refresh.initial.render(a, verbatim)
	if !ok || text == "" {
		return way{}, a.fail(refresher.Permanent, "initial mentions a parameter that has no value", nil)
	}
	if refresh.needs == needsValue {
		in.Previous = refresher.Token{Value: secret.New(text)}
	} else {
		in.Previous = refresher.Token{Outputs: map[string]secret.String{needsRefreshToken: secret.New(text)}}
	}
	sum := sha256.Sum256([]byte("initial\x00" + text))
	return way{program: s.program.refresh, in: in, began: hex.EncodeToString(sum[:8])}, nil
}

// lengthens reports whether a refresh was worth it: a renewal in place is not
// any more once the vendor's longest lifetime is near. What it adds then gets
// ever shorter, and the token would be asked for ever more often.
func (s *Source) lengthens(before, t refresher.Token) bool {
	if s.program.decl.refresh.needs != needsValue || t.ExpiresAt.IsZero() || before.ExpiresAt.IsZero() {
		return true
	}
	return t.ExpiresAt.Sub(before.ExpiresAt) > t.Lifetime()/10
}

// complete adds to the token of a refresh what its answer did not repeat: the
// refresh token above all, which many vendors send once.
func (s *Source) complete(t refresher.Token, w way) refresher.Token {
	if s.program.refresh == nil {
		return t
	}
	if w.program == s.program.refresh {
		outputs := map[string]secret.String{}
		maps.Copy(outputs, w.in.Previous.Outputs)
		maps.Copy(outputs, t.Outputs)
		if w.began != "" {
			outputs[beganWith] = secret.New(w.began)
		}
		if len(outputs) > 0 {
			t.Outputs = outputs
		}
	}
	t.Lasting = s.program.decl.refresh.needs == needsRefreshToken && !t.Outputs[needsRefreshToken].IsEmpty()
	return t
}

// refusedForGood reports whether a request was refused, and not for a token of
// another login.
func refusedForGood(err error) bool {
	fetch, ok := errors.AsType[*refresher.FetchError](err)
	return ok && fetch.Class == refresher.Permanent && len(fetch.Refused) == 0
}

// Revokes reports whether the recipe says how to revoke the token.
func (t *TokenProgram) Revokes() bool { return t.revoke != nil }

// Revoke makes one attempt to revoke in.Previous. It implements
// [refresher.Revoker]; call it only if [TokenProgram.Revokes].
func (s *Source) Revoke(ctx context.Context, in refresher.Input) error {
	a := &attempt{s: s, t: s.program.revoke, in: in}
	ctx, cancel := context.WithTimeout(ctx, a.timeout())
	defer cancel()
	if err := a.prepare(); err != nil {
		return a.fail(refresher.Permanent, err.Error(), err)
	}
	ans, err := a.send(ctx)
	if err != nil {
		return err
	}
	if why, failed := a.unsuccessful(ans); failed {
		return a.failAnswer(ans, classOf(ans), fmt.Sprintf("%s answered %d", a.host, ans.status)+why+a.message(ans, nil), nil)
	}
	return nil
}

// derive makes the programs of the token's refresh and revocation, which are
// those of its login but for what they send and what the answer means.
func (b *binder) derive(t *TokenProgram) {
	if r := t.decl.refresh; r != nil {
		t.refresh = t.with(r.decl)
		b.loginRules(t.refresh)
		t.Policy.RenewsInPlace = r.needs == needsValue
		t.Policy.Rotates = r.rotates || !r.rotatesWhen.isEmpty() && b.holds(r.rotatesWhen)
	}
	if d := t.decl.revoke; d != nil {
		t.revoke = t.with(d)
		b.loginRules(t.revoke)
	}
}

func (t *TokenProgram) with(d *tokenDecl) *TokenProgram {
	other := *t
	other.decl, other.success, other.errors, other.refused = d, nil, nil, nil
	return &other
}
