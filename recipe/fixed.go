package recipe

import (
	"context"
	"io"
	"time"

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
