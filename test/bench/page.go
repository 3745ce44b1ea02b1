package main

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"attache/internal/picture"
)

// resultsText is the generated part of the page.
func resultsText(r *results) string {
	var b strings.Builder
	b.WriteString("\n" + circumstances(r) + "\n")
	b.WriteString("![CPU time per request in relation to nginx](pictures/performance.svg)\n\n")
	b.WriteString("CPU µs per request, user and system; in parentheses the ratio to nginx:\n\n")
	b.WriteString(markdownTable(mainRows(r)) + "\n")
	b.WriteString(noise(r) + "\n")
	b.WriteString(openText(r))
	b.WriteString("Start and memory (resident, of all processes of a proxy):\n\n")
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
	return fmt.Sprintf(`Measured on %s: %s, %d cores%s, %.0f GB, %s. %s of %g s, medians over the rounds.
%s. Load average before %s, after %s.
`, r.Started.Format("2 January 2006"), m.CPU, m.Cores, kind, float64(m.MemoryBytes)/1e9, m.Kernel,
		count(r.Settings.Rounds, "round"), r.Settings.Seconds, strings.Join(versions, ", "), m.LoadBefore, m.LoadAfter)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// noise says how far the figures can be trusted.
func noise(r *results) string {
	var spreads, others, steal []float64
	var lowest, highest float64
	for _, c := range r.Cases {
		if base := c.proxy(baseline); base != nil && len(base.Samples) > 0 {
			var costs []float64
			for _, s := range base.Samples {
				costs = append(costs, s.cost())
			}
			spreads = append(spreads, spread(costs))
		}
		if ratio, ok := c.ratio("nginx-again"); ok {
			if lowest == 0 || ratio.Min < lowest {
				lowest = ratio.Min
			}
			highest = max(highest, ratio.Max)
		}
		for _, p := range c.Proxies {
			for _, s := range p.Samples {
				others, steal = append(others, s.Others), append(steal, s.Steal)
			}
		}
	}
	text := "Noise: "
	if highest > 0 {
		text += fmt.Sprintf("nginx against itself in the same round came to %.2f–%.2f. ", lowest, highest)
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
		rows := [][]string{{"", "p50 ms", "p99 ms", "answers/s", "CPU of one core"}}
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
				fmt.Sprintf("%.0f %%", 100*p.of(func(s sample) float64 { return s.ProxyBusy }))})
		}
		fmt.Fprintf(&b, "Latency at %s requests a second, from the moment when a request was meant to be sent:\n\n%s\n", picture.Thousands(float64(k.Rate)), markdownTable(rows))
	}
	return b.String()
}

// memoryRows show the start, and memory idle and under each load.
func memoryRows(r *results) [][]string {
	head := []string{"", "start to first answer", "idle"}
	for _, c := range r.Cases {
		head = append(head, caseOf(c.Name).Title)
	}
	rows := [][]string{head}
	for _, name := range namesOf(r) {
		var starts, idle []float64
		var loaded []string
		for _, c := range r.Cases {
			cell := "–"
			if p := c.proxy(name); p != nil {
				if p.IdleBytes > 0 {
					starts, idle = append(starts, p.StartMS), append(idle, float64(p.IdleBytes))
				}
				if _, ok := p.valid(); ok {
					cell = megabytes(p.loaded())
				}
			}
			loaded = append(loaded, cell)
		}
		start, rss := "–", "–"
		if len(starts) > 0 {
			start, rss = fmt.Sprintf("%.0f ms", median(starts)), megabytes(int64(median(idle)))
		}
		rows = append(rows, append([]string{title(name), start, rss}, loaded...))
	}
	return rows
}

func detailRows(c caseResult) [][]string {
	rows := [][]string{{"", "CPU µs", "user", "system", "ratio (least–greatest round)", "requests/s", "p50 ms", "p99 ms", "RSS idle", "loaded", "start ms", "limited by"}}
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

// invalidText names what is invalid, and why.
func invalidText(r *results) string {
	var b strings.Builder
	for _, c := range r.Cases {
		for _, p := range c.Proxies {
			if reason, ok := p.valid(); !ok {
				fmt.Fprintf(&b, "* %s, %s: invalid: %s\n", caseOf(c.Name).Title, title(p.Name), html.EscapeString(strings.ReplaceAll(reason, "\n", " ")))
			}
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + "\n"
}
