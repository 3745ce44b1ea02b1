package refreshertest

import (
	"errors"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// Answer is what one login comes to. Make one with [OK], [Forever], [Fail],
// [Busy], [Refuse], [Error] or [Panic].
type Answer struct {
	value    string
	outputs  map[string]string
	lifetime time.Duration
	forever  bool
	takes    time.Duration
	err      error
	panics   any
}

// OK gives a token of that value that expires after lifetime, which may be
// zero, negative or absurd.
func OK(value string, lifetime time.Duration) Answer {
	return Answer{value: value, lifetime: lifetime}
}

// Forever gives a token that lives until it is refused.
func Forever(value string) Answer { return Answer{value: value, forever: true} }

// Fail fails in that class.
func Fail(class refresher.Class) Answer {
	return Error(&refresher.FetchError{Class: class, Err: errors.New("scripted: " + class.String())})
}

// Busy is throttled and asks for that much patience.
func Busy(retryAfter time.Duration) Answer {
	return Error(&refresher.FetchError{Class: refresher.Throttled, RetryAfter: retryAfter, Err: errors.New("scripted: busy")})
}

// Refuse fails because these of [refresher.Input].Parents were refused.
func Refuse(parents ...int) Answer {
	return Error(&refresher.FetchError{Refused: parents, Err: errors.New("scripted: parent refused")})
}

// Error fails with err, whatever it is.
func Error(err error) Answer { return Answer{err: err} }

// Panic panics with v.
func Panic(v any) Answer { return Answer{panics: v} }

// After makes the answer take that long; an attempt whose context ends sooner
// fails with the context's error.
func (a Answer) After(d time.Duration) Answer {
	a.takes = d
	return a
}

// With adds an output to the token.
func (a Answer) With(name, value string) Answer {
	outputs := map[string]string{name: value}
	for n, v := range a.outputs {
		outputs[n] = v
	}
	a.outputs = outputs
	return a
}

// token returns the token as of now.
func (a Answer) token(now time.Time) refresher.Token {
	t := refresher.Token{Value: secret.New(a.value)}
	if !a.forever {
		t.ExpiresAt = now.Add(a.lifetime)
	}
	for name, value := range a.outputs {
		if t.Outputs == nil {
			t.Outputs = map[string]secret.String{}
		}
		t.Outputs[name] = secret.New(value)
	}
	return t
}
