// Package top shows the state of a running attache on a terminal, as its admin
// listener tells it: again and again, or once. What is shown is a pure function of
// the answers, in render; everything else asks for them and draws.
package top

import (
	"context"
	"errors"
	"io"
	"time"

	"attache/internal/terminal"
)

// Options says what to show, and where. All but Once must be set.
type Options struct {
	// URL is that of the answer with the state: http://HOST:PORT/api/status.
	URL string
	// Interval is how long to wait between an answer and the next question.
	Interval time.Duration
	// Once writes one picture, of which nothing is left out, and ends. An Out
	// that is no terminal gets no more either.
	Once bool
	// In is read for keys, if it is a terminal.
	In  io.Reader
	Out io.Writer
	// Getenv is [os.Getenv].
	Getenv func(string) string
}

// Run shows the state until ctx ends, or somebody presses q or Ctrl-C. While
// attache does not answer it says so, and goes on asking. The error of a single
// picture is why there was no answer.
func Run(ctx context.Context, opt Options) (err error) {
	c := newClient(opt.URL)
	paint := terminal.Colors(opt.Out, opt.Getenv)
	v := view{url: shownURL(opt.URL), every: opt.Interval, zone: time.Local}
	if opt.Once || !terminal.Moves(opt.Out, opt.Getenv) {
		return once(ctx, c, v, opt.Out, paint)
	}
	screen, err := terminal.OpenScreen(opt.In, opt.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	v.live = true
	return live(ctx, c, v, screen, paint)
}

// pipeWidth is how wide a picture is that goes elsewhere than to a terminal.
const pipeWidth = 120

func once(ctx context.Context, c *client, v view, out io.Writer, paint terminal.Painter) error {
	var err error
	if v.now, err = c.ask(ctx); err != nil {
		return errors.New(v.url + ": " + err.Error() + "; -c FILE names the configuration that has the admin address, --url another address")
	}
	width := pipeWidth
	if terminal.Is(out) {
		width, _ = terminal.Size(out)
	}
	_, err = io.WriteString(out, render(v, width, 0, paint)+"\n")
	return err
}

// answer is what came of a question.
type answer struct {
	status *status
	err    error
}

// live draws until ctx ends, somebody quits, or the terminal is gone.
func live(ctx context.Context, c *client, v view, screen *terminal.Screen, paint terminal.Painter) error {
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan answer)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		c.askOn(ctx, v.every, answers)
	}()
	defer func() { cancel(); <-asked }()
	tick := time.NewTicker(time.Second) // for how long there was no answer
	defer tick.Stop()
	var w window
	heard := time.Now()
	for {
		if v.lost != "" {
			v.lostFor = time.Since(heard)
		}
		width, height := screen.Size()
		if err := screen.Draw(render(v, width, height, paint)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-screen.Quit():
			return nil
		case <-screen.Paused():
			if err := screen.Pause(); err != nil {
				return err
			}
		case <-screen.Changed():
		case <-tick.C:
		case a := <-answers:
			if a.err != nil {
				v.lost = a.err.Error()
				break
			}
			w.add(a.status)
			v.now, v.before, v.lost, heard = a.status, w.first(), "", time.Now()
		}
	}
}

// askOn asks again and again until ctx ends.
func (c *client) askOn(ctx context.Context, every time.Duration, answers chan<- answer) {
	for {
		s, err := c.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case answers <- answer{s, err}:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}
