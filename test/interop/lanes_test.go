package interop

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// lane is what serves the requests of a suite, as `lane` of the configuration has
// it. Suites whose requests the lanes treat in ways of their own run once with each:
// HTTP/1.1 itself, raw or between clients and servers of others, and what the
// express lane hands over, which are upgrades and HTTP/2. So do those in which the
// connections themselves are at stake. Where two processes or many configurations
// take part anyway, each lane gets its share of them.
//
// The others are about what no lane touches: logins, stores, certificates, rules for
// Prometheus. So are 10,000 idle WebSockets and bodies of 1 GiB over HTTP/2, which
// the standard lane has in either case. They name no lane and run once, in that of
// ATTACHE_TEST_LANE or the default.
type lane string

const (
	express  lane = "express"
	standard lane = "standard"
	// both is of suites alone: found the same in either, or share them.
	both lane = "both"
)

// inLanes runs a test once in each lane.
func inLanes(t *testing.T, test func(*testing.T, lane)) {
	for _, l := range []lane{express, standard} {
		t.Run(string(l), func(t *testing.T) { test(t, l) })
	}
}

// configured returns a configuration in this lane; without one, as it is.
func (l lane) configured(configuration string) string {
	if l == "" {
		return configuration
	}
	return fmt.Sprintf("lane: %s\n%s", l, configuration)
}

// start is the function of that name, in this lane.
func (l lane) start(t testing.TB, configuration string) *attache {
	t.Helper()
	return start(t, l.configured(configuration))
}

// figure is the name of a figure measured in this lane.
func (l lane) figure(name string) string {
	if l == "" {
		return name
	}
	return fmt.Sprintf("%s, %s lane", name, l)
}

// merged makes one suite of two that found the same in the two lanes.
func merged(suites []suite) []suite {
	var all []suite
	for _, s := range suites {
		twin := s
		twin.lane = map[lane]lane{express: standard, standard: express}[s.lane]
		if i := slices.IndexFunc(all, func(o suite) bool { return twin.lane != "" && reflect.DeepEqual(o, twin) }); i >= 0 {
			all[i].lane = both
			continue
		}
		all = append(all, s)
	}
	return all
}

func TestPageShowsBothLanesInALine(t *testing.T) {
	in := func(l lane, passed int) suite { return suite{name: "a", lane: l, tests: 5, passed: passed} }
	for _, test := range []struct {
		suites []suite
		want   string
	}{
		{[]suite{in(express, 5), in(standard, 5)}, "| a | own | both | 5 | 5 |"},
		{[]suite{in(standard, 5), in(express, 4)}, "| a | own | express | 5 | 4 | none |\n| a | own | standard | 5 | 5 |"},
		{[]suite{in(express, 5)}, "| a | own | express | 5 | 5 |"},
		{[]suite{in("", 5)}, "| a | own |  | 5 | 5 |"},
	} {
		if page := render(test.suites); !strings.Contains(page, test.want) {
			t.Errorf("the page lacks %q:\n%s", test.want, page)
		}
	}
}
