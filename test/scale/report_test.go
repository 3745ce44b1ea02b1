package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestPageHasPlaceForResults(t *testing.T) {
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := fillPage(string(page), "figures\n")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := fillPage(filled, "figures\n"); err != nil || again != filled {
		t.Errorf("filled once more the page is another: %v", err)
	}
	if _, err := fillPage("# A page\n", "figures\n"); err == nil {
		t.Error("a page without a place for the results was filled")
	}
}

func TestSeriesFindsTheUsualLongest(t *testing.T) {
	s := newSeries(10)
	for i, longest := range []time.Duration{3, 1, 90, 2, 4} {
		end := s.start.Add(time.Duration(i) * window)
		s.note(end, longest)
		s.note(end.Add(time.Millisecond), 1)
	}
	if got := s.extremes(); got != (extremes{Usual: 3, Ever: 90}) {
		t.Errorf("%+v, want 3 usually and 90 at most", got)
	}
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		figure, limit float64
		unit, want    string
	}{
		{791, 1024, "bytes", "met"},
		{1024, 1024, "bytes", "missed by 0.0 bytes"},
		{12.5, 10, "ms", "missed by 2.5 ms"},
		{1.3, 1.15, "", "missed by 0.2"},
	} {
		if got := verdict(test.figure, test.limit, test.unit); got != test.want {
			t.Errorf("verdict(%v, %v) = %q, want %q", test.figure, test.limit, got, test.want)
		}
	}
}

// Everything that the page shows is there, whatever was measured.
func TestTextShowsEveryPhase(t *testing.T) {
	r := &results{Rounds: [][]phase{{{Name: "idle"}, {Name: "more", Hit: 100}, {Name: "all", Hit: 110}}}, Users: 100_000}
	text := r.text()
	for _, want := range []string{"| idle |", "| more |", "| all |", "1.10 | met", "CPU time of a refresh"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}
