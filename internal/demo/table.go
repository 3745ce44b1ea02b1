package demo

import (
	"fmt"
	"strings"
	"time"

	"attache/proxy"
	"attache/refresher"
)

// view is what the table shows at one moment.
type view struct {
	elapsed   time.Duration
	rows      []row
	incidents []incident
	troubles  int
}

type row struct {
	name              string
	requests, failed  uint64
	generation        uint64
	expires           time.Duration // negative: past
	hasExpiry         bool
	users             int // live tokens of end users; 0: the route has none
	replays           uint64
	logins, calledFor uint64
	slowest           time.Duration
}

func (v view) failures() (n uint64) {
	for _, r := range v.rows {
		n += r.failed
	}
	return n
}

// view reads everything once.
func (d *demo) view() view {
	v := view{elapsed: time.Since(d.started)}
	v.incidents, v.troubles = d.trouble.latest()
	pools := d.app.Tokens()
	replays := d.replays()
	for i, vendor := range d.vendors {
		c := d.traffic.routes[i]
		r := row{
			name: vendor.name, requests: c.requests.Load(), failed: c.failures.Load(), replays: replays[vendor.name],
			logins: vendor.logins(), calledFor: vendor.calledFor(v.elapsed), slowest: time.Duration(c.slowest.Load()),
		}
		for _, p := range pools {
			if p.Credential == vendor.name {
				r.addPool(p)
			}
		}
		v.rows = append(v.rows, r)
	}
	return v
}

func (r *row) addPool(p refresher.PoolStatus) {
	if p.Keyed {
		r.users += p.Instances
		return
	}
	r.generation = p.Single.Generation
	if !p.Single.ExpiresAt.IsZero() {
		r.expires, r.hasExpiry = time.Until(p.Single.ExpiresAt), true
	}
}

// replays reads how many requests were sent again, by route.
func (d *demo) replays() map[string]uint64 {
	counts := map[string]uint64{}
	families, err := d.app.Gatherer().Gather()
	if err != nil {
		return counts
	}
	for _, f := range families {
		if f.GetName() != "attache_proxy_replays_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch labels["outcome"] {
			case proxy.ReplayOK, proxy.ReplayRefused, proxy.ReplayError:
				counts[labels["route"]] += uint64(m.GetCounter().GetValue())
			}
		}
	}
	return counts
}

// render draws the table. Every line fits into 80 columns.
func render(v view, color bool) string {
	paint := func(code, text string) string {
		if !color {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	var b strings.Builder
	b.WriteString(paint("1", fmt.Sprintf("%-8s %9s %7s %6s %8s %8s %15s", "route", "requests", "failed", "token", "expires", "replays", "logins (at most)")) + "\n")
	for _, r := range v.rows {
		failed := fmt.Sprintf("%7d", r.failed)
		if r.failed > 0 {
			failed = paint("31", failed)
		}
		logins := fmt.Sprintf("%8d (%d)", r.logins, r.calledFor)
		if r.logins > r.calledFor {
			logins = paint("31", logins)
		}
		line := fmt.Sprintf("%-8s %9d %s %6s %8s %8d %s", r.name, r.requests, failed, fmt.Sprintf("#%d", r.generation), expiry(r), r.replays, logins)
		if r.users > 0 {
			line += fmt.Sprintf("  %d users", r.users)
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("\n" + paint("1", fmt.Sprintf("broken on purpose: %d", v.troubles)) + "\n")
	for _, in := range v.incidents {
		fmt.Fprintf(&b, "%6.1fs  %s\n", in.at.Seconds(), describe(in, paint))
	}
	return b.String() + "\n"
}

func describe(in incident, paint func(code, text string) string) string {
	switch {
	case in.note != "":
		return in.what + ": " + in.note
	case in.healed > 0:
		return in.what + paint("32", fmt.Sprintf(": healed in %d ms", in.healed.Milliseconds()))
	}
	return in.what + " …"
}

func expiry(r row) string {
	switch {
	case !r.hasExpiry:
		return "-"
	case r.expires < 0:
		return "renewing"
	}
	return fmt.Sprintf("%.1fs", r.expires.Seconds())
}

// summary is the last line of a demo.
func summary(v view) string {
	var requests, replays, logins, calledFor uint64
	var slowest time.Duration
	for _, r := range v.rows {
		requests += r.requests
		replays += r.replays
		logins += r.logins
		calledFor += r.calledFor
		slowest = max(slowest, r.slowest)
	}
	return fmt.Sprintf("demo: %d requests in %.0fs through %d routes, %d failed; %d broken on purpose; %d replays, %d logins (at most %d called for); slowest answer %d ms",
		requests, v.elapsed.Seconds(), len(v.rows), v.failures(), v.troubles, replays, logins, calledFor, slowest.Milliseconds())
}
