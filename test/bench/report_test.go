package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"attache/internal/machine"
	"attache/internal/picture/proof"
)

var update = flag.Bool("update", false, "rewrite the golden files and the configurations in docs/performance.md")

// trial is a result with everything that has to be shown: rounds that differ, a
// proxy that failed, one with errors, one that was not measured in a case.
func trial() *results {
	wrong := round(30)
	wrong.Errors, wrong.FirstError = 3, `a request was answered "HTTP/1.1 502 <Bad> & Gateway"`
	loadBound := round(9)
	loadBound.ProxyBusy, loadBound.LoadBusy = 0.5, 0.99
	noisy := round(11)
	noisy.Others, noisy.Steal = 0.25, 0.02
	proxies := func(scale float64) []proxyResult {
		return []proxyResult{
			{Name: "nginx", StartMS: 6.2, IdleBytes: 1e6, Samples: []sample{round(10 * scale), round(12 * scale)}},
			{Name: "nginx-again", StartMS: 6.4, IdleBytes: 1e6, Samples: []sample{round(10.5 * scale), noisy}},
			{Name: "haproxy", StartMS: 30, IdleBytes: 3e6, Samples: []sample{loadBound, loadBound}},
			{Name: "attache", StartMS: 5, IdleBytes: 4e6, Samples: []sample{round(25 * scale), round(27 * scale)}},
			{Name: "caddy", Failure: "it ended: <no> & \"yes\""},
		}
	}
	open := caseResult{Name: "open", Proxies: proxies(3)[:4]}
	open.Proxies[2].Samples = []sample{wrong, round(30)}
	json := caseResult{Name: "json", Proxies: proxies(1.5)[:4]}
	json.Proxies = append(json.Proxies, rounds(partnerName, 36, 40))
	return &results{
		Format:  resultsFormat,
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 80,
		Machine:  machine.Machine{CPU: "Fast & Furious 3000", Cores: 2, Kernel: "Linux 6.1 amd64", Virtual: true, MemoryBytes: 8e9, LoadBefore: "0.01 0.02 0.03", LoadAfter: "1.00 0.50 0.20"},
		Settings: settings{Rounds: 2, Seconds: 2.5, Warm: 0.5},
		Versions: []version{{"nginx", "1.22.1"}, {"attache", "1.0"}, {"Go", "1.26"}},
		Cases:    []caseResult{{Name: "small", Proxies: proxies(1)}, open, json},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); if the new text is right, run the test with -update:\n%s", path, diff)
	}
}

func TestReport(t *testing.T) {
	r := trial()
	golden(t, "page.md", resultsText(r))
	golden(t, "picture.svg", drawn(t, resultsText(r)))
	terminal := mainTable(r) + "\n" + goalsTable(r) + "\n"
	for _, c := range r.Cases {
		terminal += caseTable(c) + "\n"
	}
	golden(t, "terminal.txt", terminal)
}

func TestABusyMachineIsSaid(t *testing.T) {
	r := trial()
	if text := noise(r); strings.Contains(text, "busy") {
		t.Errorf("one noisy round of many: %s", text)
	}
	for _, c := range r.Cases {
		for _, p := range c.Proxies {
			for i := range p.Samples {
				p.Samples[i].Others = 0.1
			}
		}
	}
	if text := noise(r); !strings.Contains(text, "busy") {
		t.Errorf("every round was noisy: %s", text)
	}
}

// What is read back from the file gives the same page and picture.
func TestReportIsMadeOfTheFileAlone(t *testing.T) {
	r := trial()
	path := filepath.Join(t.TempDir(), "results.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	again, err := loadResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if resultsText(again) != resultsText(r) {
		t.Error("the results lost something on their way through the file")
	}
	r.Format = 0 // as in files from before there was a number
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := loadResults(path); err == nil || !strings.Contains(err.Error(), "has format 0 and this program reads 2") {
		t.Errorf("a file of another format: %v", err)
	}
}

func drawn(t *testing.T, page string) string {
	t.Helper()
	svg, err := drawPicture(page)
	if err != nil {
		t.Fatal(err)
	}
	return svg
}

// The picture shows what the page says. With -update it is drawn anew.
func TestDocumentationShowsThePicture(t *testing.T) {
	const path = "../../docs/pictures/performance.svg"
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	want := drawn(t, string(page))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is stale; run this test with -update (-want +got):\n%s", path, diff)
	}
}

// Nothing of a page is made up: what has no figure has no bar.
func TestPictureShowsWhatIsOnThePage(t *testing.T) {
	c, err := readChart(resultsText(trial()))
	if err != nil {
		t.Fatal(err)
	}
	want := chart{rounds: "2 rounds", level: "50.0 %", panels: []chartPanel{
		{"200 bytes", "nginx: 11.0 µs", []chartBar{
			{"nginx again", "0.98× · 10.8 µs", interval{0.98, 0.92, 1.05, 0}}, {"HAProxy", "0.82× · 9.0 µs", interval{0.82, 0.75, 0.90, 0}},
			{"attache", "2.38× · 26.0 µs", interval{2.38, 2.25, 2.50, 0}}, {"Caddy", "invalid", interval{}}}},
		{"4,000 a second", "nginx: 33.0 µs", []chartBar{
			{"nginx again", "0.68× · 21.2 µs", interval{0.68, 0.31, 1.05, 0}}, {"HAProxy", "invalid", interval{}},
			{"attache", "2.38× · 78.0 µs", interval{2.38, 2.25, 2.50, 0}}, {"Caddy", "not measured", interval{}}}},
		{"judged JSON", "nginx: 16.5 µs", []chartBar{
			{"nginx again", "0.83× · 13.4 µs", interval{0.83, 0.61, 1.05, 0}}, {"HAProxy", "0.55× · 9.0 µs", interval{0.55, 0.50, 0.60, 0}},
			{"attache", "2.38× · 39.0 µs", interval{2.38, 2.25, 2.50, 0}}, {"Caddy", "not measured", interval{}}}},
	}}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(chart{}, chartPanel{}, chartBar{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := readChart(resultsText(&results{})); err == nil {
		t.Error("a page without figures has a picture")
	}
}

func TestPictureIsWellFormed(t *testing.T) {
	for name, r := range map[string]*results{
		"trial":    trial(),
		"no nginx": {Cases: []caseResult{{Name: "small", Proxies: []proxyResult{{Name: "attache", Samples: []sample{round(5)}}}}}},
		"old case": {Cases: []caseResult{{Name: "<gone>", Proxies: []proxyResult{{Name: "<gone> & forgotten"}}}}},
	} {
		svg := drawn(t, resultsText(r))
		dec := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v in\n%s", name, err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, `="-`) {
			t.Errorf("%s: a coordinate is no number, or outside:\n%s", name, svg)
		}
	}
}

// With every case and proxy, and figures that take much room, there is room.
func TestPictureOfAFullRunIsLegible(t *testing.T) {
	r := &results{Settings: settings{Rounds: 9}}
	for _, c := range cases() {
		found := caseResult{Name: c.Name}
		for i, name := range proxyNames() {
			p := rounds(name)
			for n := range 9 {
				p.Samples = append(p.Samples, round(20*(1+1.2*float64(i))+float64(4*n*i)))
			}
			found.Proxies = append(found.Proxies, p)
		}
		r.Cases = append(r.Cases, found)
	}
	for _, fault := range proof.Read(drawn(t, resultsText(r))) {
		t.Error(fault)
	}
}

func TestOnlyTheGeneratedPartOfThePageChanges(t *testing.T) {
	const page = "before\n<!-- a -->\nold\n<!-- /a -->\nafter <!-- b -->\n"
	got, err := replacePart(page, "a", "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q %v", got, err)
	}
	if _, err := replacePart(page, "b", "new\n"); err == nil {
		t.Error("a part without end was written")
	}
}

// The configurations in the documentation are those that are measured.
func TestDocumentationShowsTheConfigurations(t *testing.T) {
	const path = "../../docs/performance.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := replacePart(string(page), configurationsPart, shownConfigs())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("%s differs; run this test with -update (-want +got):\n%s", path, diff)
	}
	if _, err := replacePart(string(page), resultsPart, ""); err != nil {
		t.Error(err)
	}
}

// The lanes differ by one line, and nobody else's configuration has it.
func TestStandardLaneIsAskedFor(t *testing.T) {
	for _, c := range cases() {
		own, recipe := attacheConfig(c, site{}, "")
		standard, same := attacheConfig(c, site{}, "standard")
		if strings.Contains(own, "lane") || strings.Replace(standard, "\nlane: standard\n", "\n", 1) != own || recipe != same {
			t.Errorf("%s: configurations of the lanes:\n%s\n%s", c.Name, own, standard)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--cases", "tls,small", "--proxies=attache, nginx", "--rounds", "7", "--seconds", "5"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Cases) != 2 || o.Cases[0].Name != "small" || len(o.Proxies) != 2 || o.Proxies[0] != "nginx" || o.complete {
		t.Errorf("%+v", o)
	}
	if o, err = parseOptions(nil, io.Discard); err != nil || !o.complete {
		t.Errorf("a run without arguments is not a full one: %v", err)
	}
	if took := o.estimate(); took < 13*time.Minute || took > 15*time.Minute {
		t.Errorf("a full run takes %v; the documentation says 14 minutes", took)
	}
	if o, err = parseOptions([]string{"--rounds", "5"}, io.Discard); err != nil || o.complete {
		t.Errorf("a run without intervals of 95 %% counts as a full one: %v", err)
	}
	if o, err = parseOptions([]string{"--cases", "json,users", "--proxies", partnerName}, io.Discard); err != nil || o.allTurns() != 2 {
		t.Errorf("attache's plain case in the rounds of others: %v", err)
	}
	if o, err = parseOptions([]string{"--quick"}, io.Discard); err != nil || o.complete {
		t.Errorf("a smoke test counts as a full run: %v", err)
	}
	for _, bad := range [][]string{{"--rounds", "0"}, {"--seconds", "NaN"}, {"--cases", "smal"}, {"--proxies", "envoy"}, {"--proxies", partnerName}, {"small"}} {
		if _, err := parseOptions(bad, io.Discard); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	var help bytes.Buffer
	if _, err := parseOptions([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	for _, name := range append(append(caseNames(), proxyNames()...), "-rounds", "-seconds", "-quick", "-render", "docs/performance.md") {
		if !strings.Contains(help.String(), name) {
			t.Errorf("the help does not mention %s", name)
		}
	}
}
