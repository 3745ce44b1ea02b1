package proxy

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestDates: each second has its own date, in GMT, whichever was asked for before.
func TestDates(t *testing.T) {
	d := new(dates)
	at := time.Date(2026, 2, 28, 23, 59, 59, 0, time.FixedZone("", 3600))
	for _, step := range []time.Duration{0, 0, 999 * time.Millisecond, time.Millisecond, time.Hour, -2 * time.Hour, 24 * time.Hour} {
		at = at.Add(step)
		if got, want := d.at(at), at.UTC().Format(http.TimeFormat); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { d.at(at) }); n != 0 {
		t.Errorf("%v allocations in one second", n)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 200 {
				now := at.Add(time.Duration(i*j) * 300 * time.Millisecond)
				if got := d.at(now); got != now.UTC().Format(http.TimeFormat) {
					t.Errorf("%s at %s", got, now)
				}
			}
		})
	}
	all.Wait()
}
