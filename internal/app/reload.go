package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"attache/internal/admin"
	"attache/internal/config"
	"attache/internal/watch"
	"attache/internal/yamldoc"
)

// When files are compared with what was read from them.
const (
	// compareEvery is how often it happens anyway.
	compareEvery = 5 * time.Second
	// settle is how long after the last news of a change: who writes a file often
	// does so in several steps. longestSettle bounds the wait where the news does
	// not end.
	settle        = 100 * time.Millisecond
	longestSettle = time.Second
	// againEvery is how often a configuration without a mistake is tried that could
	// not be served: an address may become free, and a storage come back.
	againEvery = time.Minute
)

// reloads decides when the configuration is loaded anew: when somebody asks, or
// when a file differs from what was read. It is one goroutine, so two reloads
// never meet.
type reloads struct {
	log *slog.Logger
	// load reads the configuration anew and adds to the files what it reads; nil:
	// there is nothing to load.
	load func(*watch.Files) (*config.Config, error)
	// apply puts a configuration into service, or returns why it cannot be.
	apply func(context.Context, *config.Config) error
	// ended is told what became of each reload, and by whom it was asked.
	ended func(by string, err error)
	// secrets compares the files that logins read, and returns their paths.
	secrets func() []string
	asked   chan request
	over    chan struct{} // closed when nobody reloads any more
	files   *watch.Files  // those of the last try, whether it went well or not
	last    atomic.Pointer[admin.Reload]
	again   time.Time // when the last try, which only the outside failed, is repeated; zero: never
}

// request is a wish for a reload.
type request struct {
	by   string
	done chan<- error // receives what became of it
}

func newReloads(a *App, opt Options) *reloads {
	r := &reloads{
		log: opt.Log, load: opt.Load, apply: a.apply, ended: a.reloadEnded, files: opt.Files,
		secrets: func() []string { return a.current.Load().secrets.look() },
		asked:   make(chan request),
		over:    make(chan struct{}),
	}
	if r.files == nil {
		r.files = &watch.Files{}
	}
	return r
}

// errStopping says that what is in service stays, because it is about to end.
var errStopping = errors.New("attache is stopping and loads no configuration any more")

// errNothingToLoad says that nobody told from where to load.
var errNothingToLoad = errors.New("the configuration of this attache comes from no file and stays as it is")

// ask has the configuration loaded anew and returns what became of it.
func (r *reloads) ask(ctx context.Context, by string) error {
	if r.load == nil {
		return errNothingToLoad
	}
	done := make(chan error, 1)
	select {
	case r.asked <- request{by, done}:
	case <-r.over:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run works until ctx ends, with the news of the operating system.
func (r *reloads) run(ctx context.Context) {
	defer close(r.over)
	notifier := watch.NewNotifier(r.log)
	defer notifier.Close()
	r.loop(ctx, notifier.C(), notifier.Follow)
}

// loop waits for the next reason to look. news says that something may have
// changed, follow where to listen for that.
func (r *reloads) loop(ctx context.Context, news <-chan struct{}, follow func([]string)) {
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	quiet := time.NewTimer(0) // fires when the news has come to rest
	defer quiet.Stop()
	var since time.Time // of the first news that was not looked at; zero: there is none
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-r.asked:
			q.done <- r.reload(ctx, q.by)
		case <-news:
			if since.IsZero() {
				since = time.Now()
			}
			quiet.Reset(min(settle, longestSettle-time.Since(since)))
			continue
		case <-quiet.C:
			since = time.Time{}
			r.compare(ctx)
		case <-tick.C:
			r.compare(ctx)
		}
		follow(slices.Concat(r.files.Paths(), r.secrets()))
	}
}

// compare loads the configuration anew if a file that it was read from has
// changed, or if it is time for another try.
func (r *reloads) compare(ctx context.Context) {
	if r.load == nil {
		return
	}
	if changed := r.files.Changed(); len(changed) > 0 {
		r.reload(ctx, "changed: "+strings.Join(changed, ", "))
	} else if !r.again.IsZero() && !time.Now().Before(r.again) {
		r.reload(ctx, "once more")
	}
}

// reload loads the configuration anew. The error is logged here as well, because
// most reloads have nobody who asked.
func (r *reloads) reload(ctx context.Context, why string) error {
	files := &watch.Files{}
	cfg, err := r.load(files)
	r.files = files
	r.again = time.Time{}
	if err == nil {
		if err = r.apply(ctx, cfg); err != nil && !errors.Is(err, errStoreMoved) {
			r.again = time.Now().Add(againEvery)
		}
	}
	r.last.Store(&admin.Reload{At: time.Now(), Err: err})
	r.ended(why, err)
	if err != nil {
		r.complain(why, err)
		return err
	}
	r.log.Info("the configuration was loaded anew", "why", why)
	return nil
}

// mostMistakes is how many mistakes of one reload are logged.
const mostMistakes = 20

// complain logs why a reload failed: several mistakes in a line each, because
// nobody can read them in one.
func (r *reloads) complain(why string, err error) {
	const message = "the configuration cannot be loaded anew; the one before stays in service"
	var mistakes yamldoc.Problems
	if !errors.As(err, &mistakes) || len(mistakes) < 2 {
		r.log.Error(message, "why", why, "error", err)
		return
	}
	r.log.Error(message, "why", why, "mistakes", len(mistakes))
	for _, m := range mistakes[:min(len(mistakes), mostMistakes)] {
		r.log.Error(m.String())
	}
	if len(mistakes) > mostMistakes {
		r.log.Error("there are more mistakes; attache check shows all of them", "more", len(mistakes)-mostMistakes)
	}
}
