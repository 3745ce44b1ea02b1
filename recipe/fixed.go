package recipe

import (
	"context"
	"io"
	"maps"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// Fixed returns a copy for which it is always now and whose random numbers are
// those of random, so that a login can be compared with how it has to be.
func (s *Source) Fixed(now time.Time, random io.Reader) *Source {
	fixed := *s
	fixed.now, fixed.random = func() time.Time { return now }, random
	return &fixed
}

// Fixed returns a copy for which it is always now and whose random numbers are
// those of random, so that a request can be compared with how it has to be.
func (p *Plan) Fixed(now time.Time, random io.Reader) *Plan {
	fixed := *p
	fixed.now, fixed.random = func() time.Time { return now }, random
	return &fixed
}

// Following returns t as a token that an earlier login or refresh with the same
// parameters gave: what a refresh may begin with. It is for tests, which write
// tokens down.
func (s *Source) Following(t refresher.Token, in refresher.Input) (refresher.Token, error) {
	if r := s.program.decl.refresh; r == nil || r.initial == nil {
		return t, nil
	}
	begin, err := s.begin(in)
	if err != nil {
		return t, err
	}
	outputs := map[string]secret.String{beganWith: secret.New(begin.began)}
	maps.Copy(outputs, t.Outputs)
	t.Outputs = outputs
	return t, nil
}

// Refreshes reports whether the token has a second request that is used instead of
// the login while the token before is there.
func (t *TokenProgram) Refreshes() bool { return t.refresh != nil }

// Trace is like [Source.Fetch] and also tells what happened. Warnings are in the
// transcript; Warn is not called.
func (s *Source) Trace(ctx context.Context, in refresher.Input) (Transcript, refresher.Token, error) {
	return s.trace(ctx, in)
}

// IsFromSystem reports whether the token comes from a file or a command of the
// machine, and not from a request or this process.
func (t *TokenProgram) IsFromSystem() bool {
	switch t.decl.origin.(type) {
	case *fileOrigin, *execOrigin:
		return true
	}
	return false
}

// watch has the transcript know the secrets of an attempt, also those that it
// comes to know later.
func (tr *tracer) watch(a *attempt) {
	if tr != nil {
		tr.out.scrub = a.scrubLines
	}
}

// Scrub removes from a text what was secret in this login: parameters, tokens,
// and what was computed of them. It cuts what is longer than 32 KiB. Of a zero
// Transcript, which knows no secrets, nothing is left.
func (t Transcript) Scrub(text string) string {
	if t.scrub == nil {
		return ""
	}
	return t.scrub(text)
}
