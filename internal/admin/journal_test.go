package admin

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// marksOf returns the marks of the token c.t in words.
func marksOf(j *Journal) string {
	var words []string
	for _, m := range shownMarks(j.marks("c", "t")) {
		words = append(words, strings.TrimSuffix(m.Kind+" "+m.Outcome, " "))
	}
	return strings.Join(words, ", ")
}

func TestMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := NewJournal()
		for _, kind := range refresher.EventKinds() {
			j.Observe(event(kind))
		}
		j.Observe(refresher.Event{Kind: refresher.LoggedIn, Credential: "c", Token: "other"})
		j.Observe(refresher.Event{Kind: refresher.LoggedIn, Credential: "other", Token: "t"})
		if got, want := marksOf(j), "logged_in, adopted, login_failed, refused renewed, renewed"; got != want {
			t.Errorf("marks %s, want %s", got, want)
		}
		for i := range 50 {
			time.Sleep(time.Minute)
			ev := event(refresher.Refused)
			ev.Rejection = refresher.Rejection(i % 3)
			j.Observe(ev)
		}
		marks := j.marks("c", "t")
		if len(marks) != 24 || time.Since(marks[23].at) != 0 || time.Since(marks[0].at) != 23*time.Minute {
			t.Errorf("%d marks, from %v to %v", len(marks), marks[0].at, marks[len(marks)-1].at)
		}
		if !strings.HasSuffix(marksOf(j), "refused renewed, refused stale, refused over_budget, refused renewed, refused stale") {
			t.Error(marksOf(j))
		}
	})
}

// A thousand requests may be refused with one token. That must not push out what
// happened before.
func TestRefusalsThatSayTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := NewJournal()
		refuse := func(change func(*refresher.Event)) {
			ev := refresher.Event{Kind: refresher.Refused, Credential: "c", Token: "t", Generation: 1, Rejection: refresher.Stale, By: "r"}
			change(&ev)
			j.Observe(ev)
		}
		same := func(*refresher.Event) {}
		count := func(want int, what string) {
			t.Helper()
			list, _, _, _ := j.since(firstID, nil)
			if len(list) != want || len(j.marks("c", "t")) != want {
				t.Errorf("%s: %d events and %d marks, want %d", what, len(list), len(j.marks("c", "t")), want)
			}
		}
		refuse(func(ev *refresher.Event) { ev.Rejection = refresher.Renewing })
		for range 1000 {
			refuse(same)
		}
		count(2, "a storm")
		for i, change := range []func(*refresher.Event){
			func(ev *refresher.Event) { ev.Generation++ },
			func(ev *refresher.Event) { ev.By = "r2" },
			func(ev *refresher.Event) { ev.Rejection = refresher.OverBudget },
			func(ev *refresher.Event) { ev.Signal = exchange.SignalBody },
		} {
			time.Sleep(time.Second)
			refuse(same)
			refuse(change)
			count(4+2*i, "another refusal")
		}
		refuse(same)
		count(10, "after others")
		time.Sleep(time.Second)
		refuse(same)
		count(11, "a second later")
		time.Sleep(time.Second)
		for i := range 1000 {
			refuse(func(ev *refresher.Event) { ev.By, ev.Signal = fmt.Sprint("r", i%3), exchange.Signal(i%2) })
		}
		count(17, "a storm of three routes")
	})
}

// What is remembered of refusals is bounded.
func TestRefusalsOfManyKinds(t *testing.T) {
	j := NewJournal()
	for i := range uint64(10 * maxRefusals) {
		j.Observe(refresher.Event{Kind: refresher.Refused, Credential: "c", Token: "t", Generation: i})
	}
	if n := len(j.trails[tokenName{"c", "t"}].refusals); n == 0 || n > maxRefusals {
		t.Errorf("%d are remembered", n)
	}
}

// However many tokens come and go, marks are kept of those in service.
func TestMarksOfTokensThatAreGone(t *testing.T) {
	j := NewJournal()
	for i := range 1000 {
		j.Observe(refresher.Event{Kind: refresher.LoggedIn, Credential: fmt.Sprint("c", i), Token: "t"})
	}
	j.Keep(func(credential, _ string) bool { return credential == "c7" })
	if len(j.trails) != 1 || len(j.marks("c7", "t")) != 1 || j.marks("c8", "t") != nil {
		t.Errorf("%d tokens have marks, want 1", len(j.trails))
	}
	// What ends a token makes no mark, so nothing comes back.
	for _, kind := range []refresher.EventKind{refresher.Revoked, refresher.Evicted, refresher.StoreFailed} {
		j.Observe(refresher.Event{Kind: kind, Credential: "c8", Token: "t"})
	}
	if len(j.trails) != 1 {
		t.Errorf("%d tokens have marks, want 1", len(j.trails))
	}
}

func TestJournalConcurrently(t *testing.T) {
	j := NewJournal()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				j.Observe(event(refresher.LoggedIn))
			}
		})
		wg.Go(func() {
			number := j.begin("")
			var buf []happening
			for range 500 {
				var events []happening
				var missed, next uint64
				events, missed, next, _ = j.since(number, buf)
				if next != number+missed+uint64(len(events)) {
					t.Errorf("from %d: %d missed, %d events, and on with %d", number, missed, len(events), next)
					return
				}
				for i := range events {
					if events[i].id != next-uint64(len(events)-i) {
						t.Errorf("event %d of %d before %d has the number %d", i, len(events), next, events[i].id)
						return
					}
				}
				number, buf = next, events
				j.marks("c", "t")
			}
		})
	}
	wg.Wait()
	if events, missed, _, _ := j.since(j.first, nil); len(events) != 200 || missed != 7800 {
		t.Errorf("%d events and %d missed", len(events), missed)
	}
}

// The engine calls Observe, and a storm of refusals calls it for each request.
func TestObserveAllocatesNothing(t *testing.T) {
	j := NewJournal()
	kinds := []refresher.EventKind{refresher.LoggedIn, refresher.Refused, refresher.LoginFailed, refresher.Evicted}
	n := 0
	once := func() {
		ev := event(kinds[n%len(kinds)])
		n++
		j.Observe(ev)
	}
	for range 1000 {
		once()
	}
	if allocs := testing.AllocsPerRun(1000, once); allocs != 0 {
		t.Errorf("an event makes %v allocations, want none", allocs)
	}
}

func BenchmarkObserve(b *testing.B) {
	j := NewJournal()
	b.ReportAllocs()
	for b.Loop() {
		j.Observe(event(refresher.LoggedIn))
	}
}
