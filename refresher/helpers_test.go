package refresher_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// route is the cause of a refusal by an upstream.
func route(name string) refresher.Cause {
	return refresher.Cause{By: name, Signal: exchange.SignalStatus}
}

// start runs one token of one credential.
func start(t *testing.T, src *rt.Source, p refresher.Policy) *refresher.Instance {
	t.Helper()
	return rt.Single(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src, Policy: p})
}

// offered is a token as an answer carries it.
func offered(value string, lifetime time.Duration) refresher.Token {
	return refresher.Token{Value: secret.New(value), ExpiresAt: time.Now().Add(lifetime)}
}

func wantRejection(t *testing.T, in *refresher.Instance, tok refresher.Token, by string, want refresher.Rejection) {
	t.Helper()
	if got := in.Reject(tok, route(by)); got != want {
		t.Errorf("refusal of generation %d by %s is %v, want %v", tok.Generation, by, got, want)
	}
}

// wantUnavailable asks for a token for as long as within and wants an
// *UnavailableError of that class after exactly the time took.
func wantUnavailable(t *testing.T, in *refresher.Instance, within, took time.Duration, class refresher.Class) *refresher.UnavailableError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	begin := time.Now()
	tok, err := in.Token(ctx)
	if elapsed := time.Since(begin); elapsed != took {
		t.Errorf("Token took %v, want %v", elapsed, took)
	}
	unavailable, ok := errors.AsType[*refresher.UnavailableError](err)
	if !ok {
		t.Fatalf("Token = %q, %v; want an UnavailableError", tok.Value.Reveal(), err)
	}
	if unavailable.Class != class {
		t.Errorf("class %v, want %v", unavailable.Class, class)
	}
	return unavailable
}

// seconds makes durations of numbers.
func seconds(numbers ...float64) []time.Duration {
	all := make([]time.Duration, len(numbers))
	for i, n := range numbers {
		all[i] = time.Duration(n * float64(time.Second))
	}
	return all
}
