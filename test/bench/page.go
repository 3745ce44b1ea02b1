package main

import (
	"errors"
	"fmt"
	"html"
	"slices"
	"strings"

	"attache/internal/picture"
)

// resultsText is the generated part of the page.
func resultsText(r *results) string {
	var b strings.Builder
	b.WriteString("\n" + goalsText(r) + circumstances(r) + "\n")
	b.WriteString("![CPU time per request in relation to nginx](pictures/performance.svg)\n\n")
	b.WriteString("CPU time per request, user and system: of nginx in µs, of the others as a multiple of nginx's, with its interval:\n\n")
	b.WriteString(markdownTable(mainRows(r)) + "\n")
	b.WriteString(noise(r) + "\n")
	b.WriteString(openText(r))
	b.WriteString("Start and memory (resident, of all processes of a proxy; a MiB has 1,048,576 bytes):\n\n")
	b.WriteString(markdownTable(memoryRows(r)) + "\n")
	b.WriteString(invalidText(r))
	for _, c := range r.Cases {
		fmt.Fprintf(&b, "<details><summary>All figures: %s</summary>\n\n%s.\n\n%s\n</details>\n", caseOf(c.Name).Title, caseOf(c.Name).About, markdownTable(detailRows(c)))
	}
	return b.String() + "\n"
}

// circumstances says where, when and with what.
func circumstances(r *results) string {
	m := r.Machine
	kind := ""
	if m.Virtual {
		kind = ", a virtual machine"
	}
	var versions []string
	for _, v := range r.Versions {
		versions = append(versions, v.Name+" "+v.Version)
	}
	return fmt.Sprintf(`Measured on %s: %s, %d cores%s, %.0f GB, %s. %s of %g s; %s.
%s. Load average before %s, after %s.
`, r.Started.Format("2 January 2006"), m.CPU, m.Cores, kind, float64(m.MemoryBytes)/1e9, m.Kernel,
		count(r.Settings.Rounds, "round"), r.Settings.Seconds, intervalText(r.Settings.Rounds), strings.Join(versions, ", "), m.LoadBefore, m.LoadAfter)
}

// intervalText says what is shown of so many rounds.
func intervalText(rounds int) string {
	rank, level := confidence(rounds)
	switch {
	case level == 0:
		return "no intervals"
	case rank == 1:
		return fmt.Sprintf("medians, with intervals from the least to the greatest round, at a level of confidence of %s", percent(level))
	}
	return fmt.Sprintf("medians, with intervals from the %s least to the %[1]s greatest round, at a level of confidence of %s", ordinal(rank), percent(level))
}

func ordinal(n int) string {
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// noise says how far the figures can be trusted.
func noise(r *results) string {
	var spreads, others, steal, again []float64
	cases, parities := 0, 0
	for _, c := range r.Cases {
		if base := c.proxy(baseline); base != nil && len(base.Samples) > 0 {
			var costs []float64
			for _, s := range base.Samples {
				costs = append(costs, s.cost())
			}
			spreads = append(spreads, spread(costs))
		}
		if all, ok := c.ratios("nginx-again", baseline); ok {
			again = append(again, all...)
			cases++
			if estimate(all).includes(parity) {
				parities++
			}
		}
		for _, p := range c.Proxies {
			for _, s := range p.Samples {
				others, steal = append(others, s.Others), append(steal, s.Steal)
			}
		}
	}
	text := "Noise: "
	if cases > 0 {
		text += fmt.Sprintf("nginx against itself in the same round came to %.2f–%.2f; the interval of that ratio includes 1 in %d of %s. ",
			slices.Min(again), slices.Max(again), parities, count(cases, "case"))
	}
	if len(spreads) > 0 && r.Settings.Rounds > 1 {
		text += fmt.Sprintf("From round to round nginx's cost varied by %.0f %% in the worst case (greatest less least, of the median). ", 100*slices.Max(spreads))
	}
	if len(others) > 0 {
		text += fmt.Sprintf("Of the proxies' core others, the kernel included, used %.1f %% in the median and %.0f %% at most; the hypervisor took %.0f %% at most.",
			100*median(others), 100*slices.Max(others), 100*slices.Max(steal))
		if median(others) > 0.05 {
			text += " **The machine was busy with something else: the figures mean little.**"
		}
	}
	return strings.TrimSpace(text) + "\n"
}

// openText are the latencies at a fixed rate, the only ones that say something
// about a proxy that is not at its limit.
func openText(r *results) string {
	var b strings.Builder
	for _, c := range r.Cases {
		k := caseOf(c.Name)
		if k.Rate == 0 {
			continue
		}
		rows := [][]string{{"", "p50 ms", "p99 ms", "answers/s", "CPU of one core", "sent late, p99 ms", "load’s core"}}
		for i := range c.Proxies {
			p := &c.Proxies[i]
			if _, ok := p.valid(); !ok {
				rows = append(rows, []string{title(p.Name), "invalid"})
				continue
			}
			rows = append(rows, []string{title(p.Name),
				fmt.Sprintf("%.2f", p.of(func(s sample) float64 { return s.P50 })/1000),
				fmt.Sprintf("%.2f", p.of(func(s sample) float64 { return s.P99 })/1000),
				picture.Thousands(p.of(func(s sample) float64 { return float64(s.Answers) / s.Seconds })),
				fmt.Sprintf("%.0f %%", 100*p.of(func(s sample) float64 { return s.ProxyBusy })),
				fmt.Sprintf("%.2f", p.of(func(s sample) float64 { return s.LateP99 })/1000),
				fmt.Sprintf("%.0f %%", 100*p.of(func(s sample) float64 { return s.LoadBusy }))})
		}
		fmt.Fprintf(&b, "Latency at %s requests a second%s, from the moment when a request was meant to be sent:\n\n%s\n", picture.Thousands(float64(k.Rate)), map[bool]string{true: " with TLS to the upstream"}[k.TLS], markdownTable(rows))
		b.WriteString(lateText(c))
	}
	return b.String()
}

// lateText names the proxies whose latency may be the load's own: it and the
// upstream share a core, and what keeps them from it is no fault of a proxy.
func lateText(c caseResult) string {
	var late []string
	for _, p := range c.Proxies {
		_, ok := p.valid()
		if ok && 2*p.of(func(s sample) float64 { return s.LateP99 }) > p.of(func(s sample) float64 { return s.P99 }) {
			late = append(late, title(p.Name))
		}
	}
	if late == nil {
		return ""
	}
	return "**The load itself was late by more than half of that p99: " + strings.Join(late, "; ") + ". These latencies say little about the proxy.**\n\n"
}

// memoryRows show the start, and memory idle and under each load.
func memoryRows(r *results) [][]string {
	head := []string{"", "start to first answer", "idle"}
	for _, c := range r.Cases {
		head = append(head, caseOf(c.Name).Title)
	}
	rows := [][]string{head}
	for _, name := range namesOf(r) {
		var loaded []string
		for _, c := range r.Cases {
			cell := "–"
			if p := c.proxy(name); p != nil {
				if _, ok := p.valid(); ok {
					cell = mebibytes(float64(p.loaded()))
				}
			}
			loaded = append(loaded, cell)
		}
		start, rss := "–", "–"
		if starts, idle := r.starts(name); len(starts) > 0 {
			start, rss = fmt.Sprintf("%.0f ms", median(starts)), mebibytes(median(idle))
		}
		rows = append(rows, append([]string{title(name), start, rss}, loaded...))
	}
	return rows
}

func detailRows(c caseResult) [][]string {
	rows := [][]string{{"", "CPU µs", "user", "system", "ratio (interval)", "requests/s", "p50 ms", "p99 ms", "RSS idle", "loaded", "start ms", "limited by"}}
	for i := range c.Proxies {
		p := &c.Proxies[i]
		if _, ok := p.valid(); !ok {
			rows = append(rows, []string{title(p.Name), "invalid"})
			continue
		}
		rows = append(rows, append([]string{title(p.Name)}, figures(c, p)...))
	}
	return rows
}

// fault is why a proxy's figures are not valid, in one case or in many.
type fault struct {
	Proxy, Reason string
	Cases         []string
}

// faults lists what is not valid. A proxy that could not start for the same
// reason in every case is one fault.
func faults(r *results) []fault {
	var all []fault
	for _, c := range r.Cases {
		for _, p := range c.Proxies {
			reason, ok := p.valid()
			if ok {
				continue
			}
			i := slices.IndexFunc(all, func(f fault) bool { return f.Proxy == p.Name && f.Reason == reason })
			if i < 0 {
				i, all = len(all), append(all, fault{Proxy: p.Name, Reason: reason})
			}
			all[i].Cases = append(all[i].Cases, c.Name)
		}
	}
	return all
}

// complaints returns what makes figures invalid, as an error.
func complaints(res *results) error {
	var all []error
	for _, f := range faults(res) {
		all = append(all, fmt.Errorf("%s (%s): %s", f.Proxy, strings.Join(f.Cases, ", "), f.Reason))
	}
	return errors.Join(all...)
}

// invalidText names what is invalid, and why.
func invalidText(r *results) string {
	var b strings.Builder
	for _, f := range faults(r) {
		var titles []string
		for _, name := range f.Cases {
			titles = append(titles, caseOf(name).Title)
		}
		fmt.Fprintf(&b, "* %s: invalid (%s): %s\n", title(f.Proxy), html.EscapeString(strings.Join(titles, "; ")), html.EscapeString(strings.ReplaceAll(f.Reason, "\n", " ")))
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\n"
}
