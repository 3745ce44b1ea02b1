package admin

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// What a [Journal] keeps.
const (
	maxEvents = 200
	maxMarks  = 24 // of each token
	// maxRefusals is how many different ones of a token are told apart.
	maxRefusals = 100
)

// Journal remembers what happened of late: the last events, and the last ones of
// each token, which are its marks. It is told by whoever sees them happen, who
// never waits for those that read. Make one with [NewJournal]; its methods may
// be called concurrently.
//
// Events have numbers that rise by one. The first is the time of the start in
// milliseconds, so that those of a process that is gone are all smaller, and a
// reader that comes back after a restart misses nothing.
type Journal struct {
	first uint64

	mu     sync.Mutex  // held for copying alone
	next   uint64      // number of the next event
	ring   []happening // of at most maxEvents, which most never need; see at
	trails map[tokenName]*trail
	news   chan struct{} // closed at the next event; nil while nobody waits
}

type tokenName struct{ credential, token string }

// happening is an event with what [refresher.Event] does not say. It becomes
// text where it is read.
type happening struct {
	id   uint64
	at   time.Time
	kind string
	file string // of a reload
	ev   refresher.Event
}

// trail is what is kept of one token.
type trail struct {
	marks    []mark
	refusals map[refusal]time.Time // when one was taken down last
}

// refusal is what one says.
type refusal struct {
	generation uint64
	outcome    refresher.Rejection
	by         string
	signal     exchange.Signal
}

type mark struct {
	at      time.Time
	kind    refresher.EventKind
	outcome refresher.Rejection // of Refused
}

// NewJournal returns a journal in which nothing has happened yet.
func NewJournal() *Journal {
	first := uint64(max(time.Now().UnixMilli(), 1))
	return &Journal{first: first, next: first, trails: map[tokenName]*trail{}}
}

// Observe takes an event of the token engine down. It does not block, as
// [refresher.Config] asks.
//
// Of refusals that say the same of a token within a second only the first is
// taken down: of a thousand requests that were refused with one token, each
// makes an event.
func (j *Journal) Observe(ev refresher.Event) {
	now := time.Now().Round(0)
	j.mu.Lock()
	defer j.mu.Unlock()
	if isMark(ev.Kind) {
		t := j.trail(tokenName{ev.Credential, ev.Token})
		if ev.Kind == refresher.Refused && !t.news(ev, now) {
			return
		}
		t.add(mark{at: now, kind: ev.Kind, outcome: ev.Rejection})
	}
	j.add(happening{at: now, kind: ev.Kind.String(), ev: ev})
}

// Reloaded takes down what became of loading the configuration file anew; err
// says why the one before stays, and must hold no secret. by says who asked.
func (j *Journal) Reloaded(file, by string, err error) {
	kind := "reloaded"
	if err != nil {
		kind = "reload_failed"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(happening{at: time.Now().Round(0), kind: kind, file: file, ev: refresher.Event{By: by, Err: err}})
}

// Keep forgets the marks of the tokens that are not in service.
func (j *Journal) Keep(inService func(credential, token string) bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name := range j.trails {
		if !inService(name.credential, name.token) {
			delete(j.trails, name)
		}
	}
}

// marks returns those of a token, the oldest first.
func (j *Journal) marks(credential, token string) []mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t := j.trails[tokenName{credential, token}]; t != nil {
		return slices.Clone(t.marks)
	}
	return nil
}

// begin returns the number of the first event for a reader that says which one
// it saw last. What makes no sense counts as nothing.
func (j *Journal) begin(last string) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	id, err := strconv.ParseUint(last, 10, 64)
	switch {
	case err != nil || id >= j.next: // never seen here
		return j.oldest()
	case id < j.first: // of a process before this one
		return j.first
	}
	return id + 1
}

// since returns copies of the events from the number on, in buf, how many of
// them are not kept any more, and the number to go on with. If there are none,
// news is closed at the next one.
func (j *Journal) since(number uint64, buf []happening) (events []happening, missed, next uint64, news <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	events = buf[:0]
	if oldest := j.oldest(); number < oldest {
		number, missed = oldest, oldest-number
	}
	for ; number < j.next; number++ {
		events = append(events, j.ring[j.at(number)])
	}
	if len(events) == 0 && j.news == nil {
		j.news = make(chan struct{})
	}
	return events, missed, number, j.news
}

// oldest returns the number of the first event that is kept. It is called with
// j.mu held.
func (j *Journal) oldest() uint64 {
	return max(j.first, j.next-min(j.next, maxEvents))
}

// add numbers an event and wakes the readers. It is called with j.mu held.
func (j *Journal) add(h happening) {
	h.id = j.next
	if len(j.ring) < maxEvents {
		j.ring = append(j.ring, h)
	} else {
		j.ring[j.at(j.next)] = h
	}
	j.next++
	if j.news != nil {
		close(j.news)
		j.news = nil
	}
}

// at returns the place of an event in the ring.
func (j *Journal) at(number uint64) uint64 { return (number - j.first) % maxEvents }

// trail returns that of a token. It is called with j.mu held.
func (j *Journal) trail(name tokenName) *trail {
	t := j.trails[name]
	if t == nil {
		t = &trail{}
		j.trails[name] = t
	}
	return t
}

func (t *trail) add(m mark) {
	if len(t.marks) == maxMarks {
		t.marks = append(t.marks[:0], t.marks[1:]...)
	}
	t.marks = append(t.marks, m)
}

// news reports whether a refusal says something that none said within the last
// second: several routes may be refused with one token, in turns.
func (t *trail) news(ev refresher.Event, now time.Time) bool {
	what := refusal{ev.Generation, ev.Rejection, ev.By, ev.Signal}
	last, known := t.refusals[what]
	if known && now.Sub(last) < time.Second && !now.Before(last) {
		return false
	}
	if t.refusals == nil || !known && len(t.refusals) == maxRefusals {
		t.refusals = map[refusal]time.Time{}
	}
	t.refusals[what] = now
	return true
}

// isMark reports whether events of a kind are marks of a token.
func isMark(k refresher.EventKind) bool {
	switch k {
	case refresher.LoggedIn, refresher.Adopted, refresher.Renewed, refresher.Refused, refresher.LoginFailed:
		return true
	}
	return false
}
