package main

import "fmt"

// goal is what attache is to reach in one figure.
type goal struct {
	What    string
	Limit   float64 // at most
	Stretch float64 // better still; 0: there is none
	Unit    unit
	Found   measured
}

// unit is what a figure is measured in.
type unit int

const (
	ratioUnit unit = iota
	fractionUnit
	mebibyteUnit
	millisecondUnit
)

// measured is a figure of the run, or why there is none.
type measured struct {
	interval
	Missing string
}

// goals holds the results against everything that attache is to reach.
func goals(r *results) []goal {
	var all []goal
	nginx := func(name, what string, limit, stretch float64) {
		all = append(all, goal{"CPU per request against nginx: " + what, limit, stretch, ratioUnit, r.ratio(name, "attache", baseline)})
	}
	nginx("small", "200 bytes", 1, 0.9)
	nginx("tls", "200 bytes, TLS to the upstream", 0.95, 0.85)
	nginx("tls-large", "10 KB, TLS to the upstream", 0.95, 0.85)
	nginx("open", "4,000 a second", 1.2, 1)
	nginx("open-tls", "4,000 a second, TLS to the upstream", 1.2, 1)
	starts, idle := r.starts("attache")
	return append(all,
		goal{"CPU per request against Caddy: 200 bytes", 1 / 5.0, 0, fractionUnit, r.ratio("small", "attache", "caddy")},
		goal{"CPU per request against ReverseProxy: 200 bytes", 1 / 2.5, 0, fractionUnit, r.ratio("small", "attache", "reverseproxy")},
		goal{"judged JSON of 1 KB against attache's own 200 bytes", 1.15, 0, ratioUnit, r.ratio("json", "attache", partnerName)},
		goal{"10,000 users against attache's own 200 bytes", 1.15, 0, ratioUnit, r.ratio("users", "attache", partnerName)},
		goal{"resident memory, idle", 14 << 20, 0, mebibyteUnit, found(idle)},
		goal{"resident memory with 512 busy connections", 22 << 20, 0, mebibyteUnit, r.figure("busy", "attache", func(s sample) float64 { return float64(s.ResidentBytes) })},
		goal{"start to the first answer", 30, 0, millisecondUnit, found(starts)},
	)
}

func found(values []float64) measured {
	if len(values) == 0 {
		return measured{Missing: "not measured"}
	}
	return measured{interval: estimate(values)}
}

// ratio compares two proxies in a case, round by round.
func (r *results) ratio(name, proxy, base string) measured {
	c := r.caseResult(name)
	if c == nil || c.proxy(proxy) == nil || c.proxy(base) == nil {
		return measured{Missing: "not measured"}
	}
	all, ok := c.ratios(proxy, base)
	if !ok {
		return measured{Missing: "invalid"}
	}
	return found(all)
}

// figure is one of a proxy in a case, over the rounds.
func (r *results) figure(name, proxy string, of func(sample) float64) measured {
	c := r.caseResult(name)
	if c == nil || c.proxy(proxy) == nil {
		return measured{Missing: "not measured"}
	}
	p := c.proxy(proxy)
	if _, ok := p.valid(); !ok {
		return measured{Missing: "invalid"}
	}
	var all []float64
	for _, s := range p.Samples {
		all = append(all, of(s))
	}
	return found(all)
}

// parity is the ratio to nginx at which neither costs more.
const parity = 1

// judge says in words whether a figure keeps to a limit. At a limit of 1 it is
// the interval that decides: as long as it includes 1, neither is proved to be
// cheaper. At any other the median decides, and an interval that includes the
// limit makes that uncertain.
func judge(limit float64, m interval) (verdict string, met bool) {
	doubt := ""
	if m.includes(limit) && m.Low < m.High {
		if limit == parity {
			return "met (parity)", true
		}
		doubt = " (uncertain)"
	}
	if m.Median <= limit {
		return "met" + doubt, true
	}
	by := "less than 1 %"
	if over := 100 * (m.Median/limit - 1); over >= 1 {
		by = fmt.Sprintf("%.0f %%", over)
	}
	return "missed by " + by + doubt, false
}

// verdict says what became of a goal. A stretch is spoken of when the goal is met.
func (g goal) verdict() string {
	if g.Found.Missing != "" {
		return g.Found.Missing
	}
	text, met := judge(g.Limit, g.Found.interval)
	if met && g.Stretch > 0 {
		further, _ := judge(g.Stretch, g.Found.interval)
		text += "; stretch " + further
	}
	return text
}

// of writes a number in the unit.
func (u unit) of(v float64) string {
	switch u {
	case mebibyteUnit:
		return fmt.Sprintf("%.1f", v/(1<<20))
	case millisecondUnit:
		return fmt.Sprintf("%.0f", v)
	case fractionUnit:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// limit writes a goal's limit.
func (u unit) limit(v float64) string {
	switch u {
	case mebibyteUnit:
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	case millisecondUnit:
		return fmt.Sprintf("%.0f ms", v)
	case fractionUnit:
		return fmt.Sprintf("1/%g = %.3f", 1/v, v)
	}
	return fmt.Sprintf("%.2f", v)
}

// withInterval writes a median with its interval, if it has one.
func withInterval(i interval, number func(float64) string) string {
	if i.Level == 0 {
		return number(i.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(i.Median), number(i.Low), number(i.High))
}

// percent writes a level of confidence.
func percent(level float64) string {
	if level == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*level)
}

// goalRows are the goals as a table.
func goalRows(r *results) [][]string {
	rows := [][]string{{"", "at most", "stretch", "median (interval)", "level", "verdict"}}
	for _, g := range goals(r) {
		stretch, value, level := "–", "–", "–"
		if g.Stretch > 0 {
			stretch = g.Unit.limit(g.Stretch)
		}
		if g.Found.Missing == "" {
			value, level = withInterval(g.Found.interval, g.Unit.of), percent(g.Found.Level)
		}
		rows = append(rows, []string{g.What, g.Unit.limit(g.Limit), stretch, value, level, g.verdict()})
	}
	return rows
}

// goalsText is the part of the page about them.
func goalsText(r *results) string {
	return "What attache is to reach, and what it does:\n\n" + markdownTable(goalRows(r)) + "\n" + levelWarning(r)
}

// levelWarning says that there were too few rounds for the intervals wanted.
func levelWarning(r *results) string {
	_, level := confidence(r.Settings.Rounds)
	if level >= wantedLevel {
		return ""
	}
	if level == 0 {
		return "**One round has no interval: take more.**\n\n"
	}
	return fmt.Sprintf("**%s allow intervals of %s only: take more.**\n\n", count(r.Settings.Rounds, "round"), percent(level))
}
