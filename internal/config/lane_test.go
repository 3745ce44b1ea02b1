package config

import (
	"testing"

	"attache/internal/lanetest"
)

// What chooses the lane of all tests knows the names of this package, and its line
// is one that a file takes. The test is here because modules of tests import that
// package, and would have to list what this one needs.
func TestLaneOfTests(t *testing.T) {
	const text = "routes:\n  - upstream: https://api.example.com"
	for _, test := range []struct {
		text, lane string
		want       Lane
	}{
		{text, "", LaneExpress},
		{text, "express", LaneExpress},
		{text, "standard", LaneStandard},
		{text + "\n", "standard", LaneStandard},
		{"lane: express\n" + text, "standard", LaneExpress},
		{text + "\nlane: standard", "express", LaneStandard},
	} {
		t.Setenv(lanetest.Variable, test.lane)
		cfg, err := Parse("attache.yaml", []byte(lanetest.Configuration(test.text)), t.TempDir())
		if err != nil {
			t.Errorf("%q with %q: %v", test.text, test.lane, err)
		} else if cfg.Lane != test.want {
			t.Errorf("%q with %q has the lane %s, want %s", test.text, test.lane, cfg.Lane, test.want)
		}
		if standard := test.lane == "standard"; lanetest.Standard() != standard {
			t.Errorf("%q: standard %v", test.lane, !standard)
		}
	}
}

func TestUnknownLaneOfTests(t *testing.T) {
	t.Setenv(lanetest.Variable, "expres")
	defer func() {
		if recover() == nil {
			t.Error("an unknown lane is taken for none")
		}
	}()
	lanetest.Lane()
}
