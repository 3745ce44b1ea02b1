package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/config"
	"attache/internal/watch"
	"attache/internal/yamldoc"
)

// rig is the loop of reloads with a configuration that is one file.
type rig struct {
	t       *testing.T
	file    string
	news    chan struct{}
	reloads *reloads
	start   time.Time

	mu      sync.Mutex // of what follows
	logs    bytes.Buffer
	tried   []string // "at: content" of every load
	applied []string
	failed  int
	free    bool // what was taken is no more
	follows [][]string
}

// Write is for the log.
func (g *rig) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.logs.Write(p)
}

// seen returns the failures that were counted, and the log.
func (g *rig) seen() (failed int, log string) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed, g.logs.String()
}

// run runs f beside the loop in a bubble.
func runRig(t *testing.T, f func(*rig)) {
	file := filepath.Join(t.TempDir(), "attache.yaml")
	g := &rig{t: t, file: file}
	g.write("one")
	synctest.Test(t, func(t *testing.T) {
		var files watch.Files
		files.Add(file)
		g.news = make(chan struct{}, 1)
		g.start = time.Now()
		var read string
		g.reloads = &reloads{
			log: slog.New(slog.NewTextHandler(g, nil)),
			load: func(files *watch.Files) (*config.Config, error) {
				files.Add(file)
				data, err := os.ReadFile(file)
				if err != nil {
					return nil, err
				}
				read = string(data)
				g.mu.Lock()
				defer g.mu.Unlock()
				g.tried = append(g.tried, fmt.Sprintf("%v: %s", time.Since(g.start), read))
				if strings.HasPrefix(read, "bad") {
					return nil, errors.New("this is bad")
				}
				return &config.Config{}, nil
			},
			apply: func(context.Context, *config.Config) error {
				g.mu.Lock()
				defer g.mu.Unlock()
				if strings.HasPrefix(read, "taken") && !g.free {
					return errors.New("address in use")
				}
				g.applied = append(g.applied, read)
				return nil
			},
			ended: func(_ string, err error) {
				if err == nil {
					return
				}
				g.mu.Lock()
				defer g.mu.Unlock()
				g.failed++
			},
			secrets: func() []string { return []string{"/secret"} },
			asked:   make(chan request),
			files:   &files,
		}
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() {
			g.reloads.loop(ctx, g.news, func(paths []string) {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.follows = append(g.follows, paths)
			})
		})
		synctest.Wait()
		f(g)
		cancel()
		parts.Wait()
	})
}

func (g *rig) write(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) tell() {
	select {
	case g.news <- struct{}{}:
	default:
	}
}

func (g *rig) want(tried, applied []string) {
	g.t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.tried, tried) || !slices.Equal(g.applied, applied) {
		g.t.Errorf("tried %q and applied %q, want %q and %q", g.tried, g.applied, tried, applied)
	}
}

// News makes the loop look once writing has come to rest, and nothing but other
// content makes it load.
func TestReloadOnNews(t *testing.T) {
	runRig(t, func(g *rig) {
		g.tell()
		time.Sleep(time.Second)
		g.want(nil, nil)
		for _, text := range []string{"t", "tw", "two"} { // in steps of 60 ms
			g.write(text)
			g.tell()
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(time.Second)
		g.want([]string{"1.22s: two"}, []string{"two"})
		// News that does not end is not waited for.
		g.write("three")
		for range 30 {
			g.tell()
			time.Sleep(50 * time.Millisecond)
		}
		g.want([]string{"1.22s: two", "3.18s: three"}, []string{"two", "three"})
	})
}

// Without any news the files are compared now and then.
func TestReloadWithoutNews(t *testing.T) {
	runRig(t, func(g *rig) {
		g.write("two")
		time.Sleep(compareEvery + time.Second)
		g.want([]string{"5s: two"}, []string{"two"})
		g.mu.Lock()
		defer g.mu.Unlock()
		if want := []string{g.file, "/secret"}; !slices.Equal(g.follows[len(g.follows)-1], want) {
			t.Errorf("follows %q, want %q", g.follows[len(g.follows)-1], want)
		}
	})
}

// What is wrong is tried once, told, and tried again when it changes.
func TestBadReload(t *testing.T) {
	runRig(t, func(g *rig) {
		g.write("bad")
		time.Sleep(time.Minute)
		g.want([]string{"5s: bad"}, nil)
		if last := g.reloads.last.Load(); last == nil || last.Err == nil || !last.At.Equal(g.start.Add(5*time.Second)) {
			t.Errorf("the last reload is %+v", last)
		}
		g.write("taken")
		time.Sleep(time.Minute)
		g.want([]string{"5s: bad", "1m5s: taken"}, nil)
		if failed, log := g.seen(); failed != 2 || strings.Count(log, "level=ERROR") != 2 || !strings.Contains(log, "address in use") {
			t.Errorf("%d failures were counted; the log:\n%s", failed, log)
		}
		g.write("one") // as in the beginning
		time.Sleep(time.Minute)
		g.want([]string{"5s: bad", "1m5s: taken", "2m5s: one"}, []string{"one"})
		failed, _ := g.seen()
		if last := g.reloads.last.Load(); last.Err != nil || failed != 2 {
			t.Errorf("the last reload is %+v, %d failures", last, failed)
		}
		os.Remove(g.file)
		time.Sleep(time.Minute)
		if failed, _ := g.seen(); failed != 3 {
			t.Errorf("%d failures after the file went, want 3", failed)
		}
	})
}

// What is right but cannot be served is tried again by itself.
func TestReloadAgain(t *testing.T) {
	runRig(t, func(g *rig) {
		g.write("taken")
		time.Sleep(2 * time.Minute)
		g.want([]string{"5s: taken", "1m5s: taken"}, nil)
		g.mu.Lock()
		g.free = true
		g.mu.Unlock()
		time.Sleep(2 * time.Minute)
		g.want([]string{"5s: taken", "1m5s: taken", "2m5s: taken"}, []string{"taken"})
	})
}

// Whoever asks gets the result, whether anything changed or not.
func TestReloadWhenAsked(t *testing.T) {
	runRig(t, func(g *rig) {
		ask := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return g.reloads.ask(ctx, "me")
		}
		if err := ask(); err != nil {
			t.Error(err)
		}
		g.write("bad")
		if err := ask(); err == nil || err.Error() != "this is bad" {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		g.want([]string{"0s: one", "0s: bad"}, []string{"one"})
	})
}

// One mistake stands in the line of the failure, several in a line each, but not
// without end.
func TestMistakesInTheLog(t *testing.T) {
	mistakes := make(yamldoc.Problems, mostMistakes+2)
	for i := range mistakes {
		mistakes[i] = yamldoc.Problem{File: "attache.yaml", Line: i + 1, Col: 1, Text: "wrong"}
	}
	const head = `level=ERROR msg="the configuration cannot be loaded anew; the one before stays in service" why=me `
	var most strings.Builder
	fmt.Fprintln(&most, head+"mistakes=22")
	for i := range mostMistakes {
		fmt.Fprintf(&most, "level=ERROR msg=\"attache.yaml:%d:1: wrong\"\n", i+1)
	}
	fmt.Fprintln(&most, `level=ERROR msg="there are more mistakes; attache check shows all of them" more=2`)
	tests := []struct {
		err  error
		want string
	}{
		{errors.New("taken"), head + "error=taken\n"},
		{mistakes[:1], head + `error="attache.yaml:1:1: wrong"` + "\n"},
		{mistakes, most.String()},
	}
	for _, test := range tests {
		var out bytes.Buffer
		r := &reloads{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))}
		r.complain("me", test.err)
		if out.String() != test.want {
			t.Errorf("%v:\n%s", test.err, out.String())
		}
	}
}

// Nobody waits for a loop that has ended, has nothing to load, or is busy for
// longer than they have time.
func TestReloadAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := &reloads{asked: make(chan request), over: make(chan struct{})}
		if err := r.ask(t.Context(), "me"); !errors.Is(err, errNothingToLoad) {
			t.Errorf("error %v", err)
		}
		r.load = func(*watch.Files) (*config.Config, error) { return nil, errors.New("this is not called") }
		if err := r.ask(ctx, "me"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		close(r.over)
		if err := r.ask(t.Context(), "me"); !errors.Is(err, errStopping) {
			t.Errorf("error %v", err)
		}
	})
}
