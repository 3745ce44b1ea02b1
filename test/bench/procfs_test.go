package main

import (
	"slices"
	"testing"
	"time"
)

func TestProcStatWithAnyNameOfAProgram(t *testing.T) {
	for _, name := range []string{"nginx", "a b", "x) R 1 2 3", "((", ""} {
		got, err := parseProcStat("41 (" + name + ") S 7 8 40 0 -1 4194560 90 0 0 0 123 456 0 0 20 0 1 0 99 1000 200")
		if want := (procStat{"S", 7, 8, 123, 456}); err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "41 nginx S 7", "41 (nginx) S 7", "41 (nginx) S x 8 40 0 -1 4194560 90 0 0 0 123 456"} {
		if got, err := parseProcStat(bad); err == nil {
			t.Errorf("%q gave %+v", bad, got)
		}
	}
}

func TestTreeHasAllDescendants(t *testing.T) {
	parents := map[int]int{1: 0, 10: 1, 11: 10, 12: 10, 13: 11, 20: 1, 21: 20}
	if got, want := tree(10, parents), []int{10, 11, 12, 13}; !slices.Equal(got, want) {
		t.Errorf("tree = %v, want %v", got, want)
	}
}

func TestResidentMemoryIsInBytes(t *testing.T) {
	got, err := parseRSS("Name:\tnginx\nVmHWM:\t  9999 kB\nVmRSS:\t    12 kB\nThreads:\t1\n")
	if err != nil || got != 12<<10 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := parseRSS("Name:\tkthreadd\n"); err == nil {
		t.Error("a process without memory has some")
	}
}

func TestCoreTimes(t *testing.T) {
	const text = "cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu10 100 0 0 0 0 0 0 0 0 0\ncpu1 10 20 30 40 50 60 70 80 90 100\n"
	got, err := parseCoreTimes(text, 1)
	tick := 10 * time.Millisecond
	// Guests' time is in user and nice already.
	want := coreTimes{Busy: (10 + 20 + 30 + 60 + 70 + 80) * tick, Idle: (40 + 50) * tick, Steal: 80 * tick}
	if err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if _, err := parseCoreTimes(text, 2); err == nil {
		t.Error("a core that is not there has times")
	}
}

func TestListsOfCores(t *testing.T) {
	for text, want := range map[string][]int{"0": {0}, "0-2,5\n": {0, 1, 2, 5}, "3,1": {3, 1}} {
		if got, err := parseCores(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "a", "2-1", "-1", "1,", "0-99999999"} {
		if got, err := parseCores(bad); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
}

func TestSplitOfTime(t *testing.T) {
	user, system := splitTime(100*time.Microsecond, 30, 10)
	if user != 75*time.Microsecond || system != 25*time.Microsecond {
		t.Errorf("%v and %v", user, system)
	}
	if user, system := splitTime(time.Microsecond, 0, 0); user != time.Microsecond || system != 0 {
		t.Errorf("without ticks: %v and %v", user, system)
	}
}
