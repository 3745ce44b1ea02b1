package refresher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// The wall clock is set, or the machine slept, while requests go on.
func TestWallClockSteps(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration
		step     time.Duration
		want     []time.Duration // logins within two hours; the step comes after 605 s
	}{
		{"past expiry", time.Hour, 3 * time.Hour, seconds(0, 605, 605+48*60, 605+96*60)},
		{"long token", 48 * time.Hour, 3 * time.Hour, seconds(0)},
		{"past due", 200 * time.Minute, 3 * time.Hour, seconds(0, 610)}, // seen at the next heartbeat
		// The waits go on by the other clock: nothing is refreshed an hour late.
		{"back", time.Hour, -time.Hour, seconds(0, 48*60, 96*60)},
		{"far back", time.Hour, -1000 * time.Hour, seconds(0, 48*60, 96*60)},
		{"a little", time.Hour, 500 * time.Millisecond, seconds(0, 48*60, 96*60)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock rt.Clock
				src := numbered(t, test.lifetime).Clock(&clock)
				in := rt.Single(t, rt.Start(t, refresher.Config{Now: clock.Now}), refresher.Definition{Source: src})
				for second := range 2 * 3600 {
					if second == 605 {
						clock.Step(test.step)
					}
					if tok := rt.Token(t, in); tok.ExpiredAt(clock.Now()) {
						t.Fatalf("after %d s: a token that expired at %v at %v", second, tok.ExpiresAt, clock.Now())
					}
					time.Sleep(time.Second)
				}
				src.WantTimes(test.want...)
			})
		})
	}
}

// Nobody has to ask: the scheduler sees a step by itself within its heartbeat.
func TestWallClockStepInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock rt.Clock
		src := numbered(t, time.Hour).Clock(&clock)
		rt.Single(t, rt.Start(t, refresher.Config{Now: clock.Now}), refresher.Definition{Source: src})
		time.Sleep(10 * time.Minute)
		clock.Step(3 * time.Hour)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		src.WantCalls(2)
	})
}

func TestStepsWhileTheVendorIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock rt.Clock
		src := rt.Script(t, append([]rt.Answer{rt.OK("a", time.Hour)}, fails(100, refresher.Transient)...)...).Clock(&clock)
		in := rt.Single(t, rt.Start(t, refresher.Config{Now: clock.Now}), refresher.Definition{Source: src})
		time.Sleep(time.Minute)
		for i := range 60 { // a clock that cannot make up its mind
			clock.Step([]time.Duration{3 * time.Hour, -3 * time.Hour}[i%2])
			if tok, ok := in.Peek(); ok && tok.ExpiredAt(clock.Now()) {
				t.Fatal("an expired token is usable")
			}
			time.Sleep(15 * time.Second)
		}
		src.WantAtMost(7, time.Minute) // 1 2 4 8 16 32 s are the first waits
	})
}
