package refresher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	"attache/refresher/refreshertest"
)

// What was in the way of logins has changed: those that failed are tried again,
// but not before an upstream's patience is over, and tokens that are there stay.
func TestRetry(t *testing.T) {
	tests := []struct {
		name    string
		answers []refreshertest.Answer
		calls   int // after a minute of retries every ten seconds
	}{
		{"a token is there", []refreshertest.Answer{refreshertest.OK("a", time.Hour)}, 1},
		{"refused for good", []refreshertest.Answer{refreshertest.Fail(refresher.Permanent), refreshertest.Fail(refresher.Permanent), refreshertest.OK("a", time.Hour)}, 3},
		{"asked for patience", []refreshertest.Answer{refreshertest.Busy(10 * time.Minute)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := refreshertest.Script(t, tt.answers...)
				pool := refreshertest.Define(t, refreshertest.Start(t, refresher.Config{}), refresher.Definition{Source: source})
				for range 5 { // in less than the minute after which a refused login is tried anyway
					time.Sleep(10 * time.Second)
					pool.Retry()
				}
				synctest.Wait()
				source.WantCalls(tt.calls)
			})
		})
	}
}
