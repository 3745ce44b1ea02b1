// Package demo shows attache at work with nothing to configure: emulated
// vendors whose tokens live a few seconds, the real proxy in front of them, live
// traffic through every route, and somebody who breaks things now and then. All
// of it listens on loopback only.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/terminal"
)

// tokenLife is how long the emulated vendors' tokens live.
const tokenLife = 6 * time.Second

// Options configure a demo. Out and Getenv must be set.
type Options struct {
	// For ends the demo by itself; 0: it runs until the context ends.
	For time.Duration
	// Out gets the table and the summary. On a terminal the table is drawn in
	// its place again and again; anything else gets a plain one now and then.
	Out io.Writer
	// Getenv is [os.Getenv].
	Getenv func(string) string
	// Listen and Admin are the addresses of the proxy and its admin API. When
	// one is taken, any free port of loopback is used instead.
	Listen, Admin string
	Version       string
}

// Run runs the demo and writes its table, and at the end one line that sums it
// up. It returns an error when a request failed, or a vendor saw more logins
// than its rotations and revocations call for.
func Run(ctx context.Context, opt Options) error {
	if opt.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opt.For)
		defer cancel()
	}
	d, err := start(opt)
	if err != nil {
		return err
	}
	d.run(ctx)
	v := d.view()
	d.canvas.draw(v)
	if err := terminal.Say(opt.Out, 0, "", summary(v)); err != nil {
		return err
	}
	if v.failures() > 0 {
		return fmt.Errorf("%d requests failed; the first: %s", v.failures(), d.traffic.firstFailure())
	}
	for _, r := range v.rows {
		if r.logins > r.calledFor {
			return fmt.Errorf("route %s: %d logins, but rotations and revocations call for at most %d", r.name, r.logins, r.calledFor)
		}
	}
	return nil
}

// demo is everything that runs.
type demo struct {
	opt     Options
	started time.Time
	vendors []*vendor
	app     *app.App
	traffic *traffic
	trouble *trouble
	canvas  canvas
}

// start opens every listener. Nothing runs yet.
func start(opt Options) (_ *demo, err error) {
	d := &demo{opt: opt, started: time.Now(), canvas: newCanvas(opt.Out, opt.Getenv)}
	defer func() {
		if err != nil {
			d.stopVendors()
		}
	}()
	for _, what := range scenery() {
		v, err := startVendor(what)
		if err != nil {
			return nil, err
		}
		d.vendors = append(d.vendors, v)
	}
	text := configuration(d.vendors, free(opt.Out, opt.Listen), free(opt.Out, opt.Admin))
	cfg, err := config.Parse("demo.yaml", []byte(text), ".")
	if err != nil {
		return nil, fmt.Errorf("the demo's own configuration:\n%w", err)
	}
	d.app, err = app.New(app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Version: opt.Version, Revision: "demo"})
	if err != nil {
		return nil, err
	}
	d.traffic = newTraffic("http://"+d.app.Addr(), d.vendors)
	d.trouble = newTrouble(d.vendors, d.started, d.due)
	return d, nil
}

// due returns when a credential's first token is renewed.
func (d *demo) due(credential string) time.Time {
	for _, p := range d.app.Tokens() {
		if p.Credential == credential && p.Single != nil {
			return p.Single.DueAt
		}
	}
	return time.Time{}
}

// free returns address if nobody listens there, else any port of loopback.
func free(out io.Writer, address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintf(out, "%s is taken; any free port is used instead.\n", address)
		return "127.0.0.1:0"
	}
	l.Close()
	return address
}

// run runs the demo until ctx ends. Traffic ends first, so that no request
// meets a proxy that is going away.
func (d *demo) run(ctx context.Context) {
	appCtx, stopApp := context.WithCancel(context.WithoutCancel(ctx))
	var parts, proxy sync.WaitGroup
	proxy.Go(func() { d.app.Run(appCtx) })
	parts.Go(func() { d.traffic.run(ctx) })
	parts.Go(func() { d.trouble.run(ctx) })
	d.show(ctx)
	parts.Wait()
	stopApp()
	proxy.Wait()
	d.stopVendors()
}

func (d *demo) stopVendors() {
	for _, v := range d.vendors {
		v.server.Close()
	}
}

// show draws until ctx ends.
func (d *demo) show(ctx context.Context) {
	d.canvas.begin(hints("http://"+d.app.Addr(), "http://"+d.app.AdminAddr(), d.vendors))
	tick := time.NewTicker(d.canvas.every())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.canvas.draw(d.view())
		}
	}
}

// startVendor starts one emulated vendor on a free port.
func startVendor(what scene) (*vendor, error) {
	emu, err := what.emulator()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the emulated %s: %w", what.recipe, err)
	}
	v := &vendor{scene: what, emu: emu, url: "http://" + l.Addr().String(),
		server: &http.Server{Handler: emu, ReadHeaderTimeout: 10 * time.Second}}
	go func() {
		if err := v.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // a loopback listener that breaks is nothing to go on with
		}
	}()
	return v, nil
}
