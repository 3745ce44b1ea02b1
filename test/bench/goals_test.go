package main

import (
	"slices"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	const level = 0.96
	for _, test := range []struct {
		name           string
		limit, stretch float64
		found          interval
		want           string
	}{
		{"below", 0.95, 0, interval{0.90, 0.88, 0.94, level}, "met"},
		{"at the limit", 1.2, 0, interval{1.2, 1.1, 1.2, level}, "met (uncertain)"},
		{"below, the interval is not", 0.95, 0, interval{0.94, 0.90, 0.97, level}, "met (uncertain)"},
		{"above, the interval is not", 0.95, 0.85, interval{0.99, 0.94, 1.02, level}, "missed by 4 % (uncertain)"},
		{"above", 1.2, 1, interval{1.5, 1.4, 1.6, level}, "missed by 25 %"},
		{"hardly above", 1.15, 0, interval{1.155, 1.152, 1.2, level}, "missed by less than 1 %"},
		{"parity from above", 1, 0.9, interval{1.03, 0.98, 1.06, level}, "met (parity); stretch missed by 14 %"},
		{"parity from below", 1, 0.9, interval{0.97, 0.93, 1.01, level}, "met (parity); stretch missed by 8 %"},
		{"cheaper than nginx", 1, 0.9, interval{0.89, 0.85, 0.99, level}, "met; stretch met (uncertain)"},
		{"much cheaper", 1, 0.9, interval{0.80, 0.75, 0.85, level}, "met; stretch met"},
		{"dearer than nginx", 1, 0.9, interval{1.03, 1.01, 1.06, level}, "missed by 3 %"},
		{"the stretch is parity", 1.2, 1, interval{1.02, 0.97, 1.08, level}, "met; stretch met (parity)"},
		{"one round", 1, 0, interval{1.1, 1.1, 1.1, 0}, "missed by 10 %"},
		{"one round, met", 1, 0, interval{1, 1, 1, 0}, "met"},
		{"bytes", 14 << 20, 0, interval{13 << 20, 13 << 20, 13 << 20, level}, "met"},
	} {
		if got := (goal{Limit: test.limit, Stretch: test.stretch, Found: measured{interval: test.found}}).verdict(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := (goal{Limit: 1, Found: measured{Missing: "invalid"}}).verdict(); got != "invalid" {
		t.Errorf("no figure: %q", got)
	}
}

// rounds makes samples of one proxy with these costs.
func rounds(name string, costs ...float64) proxyResult {
	p := proxyResult{Name: name, StartMS: 7, IdleBytes: 12 << 20}
	for _, c := range costs {
		p.Samples = append(p.Samples, round(c))
	}
	return p
}

// What a goal is measured by: which proxy, which case, and within each round.
func TestGoalsAreMeasuredWithinRounds(t *testing.T) {
	six := func(name string, scale float64) proxyResult {
		return rounds(name, 10*scale, 20*scale, 11*scale, 30*scale, 12*scale, 13*scale)
	}
	r := &results{Settings: settings{Rounds: 6}}
	for _, c := range cases() {
		r.Cases = append(r.Cases, caseResult{Name: c.Name, Proxies: []proxyResult{six("nginx", 1), six("attache", 1.1), six("caddy", 6.6), six("reverseproxy", 2.2)}})
	}
	json := r.caseResult("json")
	json.Proxies = append(json.Proxies, six(partnerName, 1))
	busy := r.caseResult("busy").proxy("attache")
	for i := range busy.Samples {
		busy.Samples[i].ResidentBytes = int64(20+i) << 20
	}
	r.caseResult("tls").Proxies[1].Failure = "it ended"
	want := map[string]string{
		"nginx: 200 bytes": "1.10 (1.10–1.10) 96.9 % missed by 10 %",
		"200 bytes, TLS":   "– – invalid",
		"10 KB, TLS":       "1.10 (1.10–1.10) 96.9 % missed by 16 %",
		"4,000 a second":   "1.10 (1.10–1.10) 96.9 % met; stretch missed by 10 %",
		"Caddy":            "0.167 (0.167–0.167) 96.9 % met",
		"ReverseProxy":     "0.500 (0.500–0.500) 96.9 % missed by 25 %",
		"judged JSON":      "1.10 (1.10–1.10) 96.9 % met",
		"10,000 users":     "– – not measured",
		"memory, idle":     "12.0 (12.0–12.0) 98.8 % met",
		"with 512 busy":    "22.5 (20.0–25.0) 96.9 % missed by 2 % (uncertain)",
		"start to":         "7 (7–7) 98.8 % met",
	}
	for what, cells := range want {
		rows := goalRows(r)
		i := slices.IndexFunc(rows, func(row []string) bool { return strings.Contains(row[0], what) })
		if i < 0 {
			t.Errorf("there is no goal for %s", what)
		} else if got := strings.Join(rows[i][3:], " "); got != cells {
			t.Errorf("%s: %q, want %q", what, got, cells)
		}
	}
}

func TestALoadThatIsLateIsSaid(t *testing.T) {
	c := caseResult{Name: "open", Proxies: []proxyResult{rounds("nginx", 1, 1, 1), rounds("attache", 1, 1, 1), {Name: "caddy", Failure: "it ended"}}}
	for i := range c.Proxies[1].Samples {
		c.Proxies[0].Samples[i].LateP99 = 450 // of 900 µs
	}
	c.Proxies[1].Samples[0].LateP99 = 5000 // in one round of three
	if got := lateText(c); got != "" {
		t.Errorf("half of the latency, and one bad round: %q", got)
	}
	c.Proxies[1].Samples[2].LateP99 = 451
	if got := lateText(c); !strings.Contains(got, "p99: attache. ") {
		t.Errorf("more than half of attache's latency: %q", got)
	}
}

func TestTooFewRoundsAreSaid(t *testing.T) {
	for rounds, want := range map[int]string{
		1: "**One round has no interval: take more.**\n\n", 5: "**5 rounds allow intervals of 93.8 % only: take more.**\n\n", 6: "", 9: "",
	} {
		if got := levelWarning(&results{Settings: settings{Rounds: rounds}}); got != want {
			t.Errorf("%d rounds: %q", rounds, got)
		}
	}
}

// A proxy that starts in no case, as one whose configuration the binary does not
// know, is told once.
func TestTheSameFaultInManyCasesIsToldOnce(t *testing.T) {
	var r results
	for _, name := range []string{"small", "large"} {
		r.Cases = append(r.Cases, caseResult{Name: name, Proxies: []proxyResult{rounds("attache", 1), {Name: "attache-standard", Failure: "it ended: unknown key \"lane\""}}})
	}
	const want = "* attache, standard lane: invalid (200 bytes; 10 KB): it ended: unknown key &#34;lane&#34;\n\n"
	if got := invalidText(&r); got != want {
		t.Errorf("got %q", got)
	}
	const complaint = `attache-standard (small, large): it ended: unknown key "lane"`
	if err := complaints(&r); err == nil || err.Error() != complaint {
		t.Errorf("got %v", err)
	}
}
