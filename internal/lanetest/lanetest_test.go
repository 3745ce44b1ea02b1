package lanetest

import (
	"testing"

	"attache/internal/config"
)

// The names are those of the configuration, and the line is one that it takes.
func TestConfiguration(t *testing.T) {
	const text = "routes:\n  - upstream: https://api.example.com"
	for _, test := range []struct {
		text, lane string
		want       config.Lane
	}{
		{text, "", config.LaneExpress},
		{text, "express", config.LaneExpress},
		{text, "standard", config.LaneStandard},
		{text + "\n", "standard", config.LaneStandard},
		{"lane: express\n" + text, "standard", config.LaneExpress},
		{text + "\nlane: standard", "express", config.LaneStandard},
	} {
		cfg, err := config.Parse("attache.yaml", []byte(with(test.text, test.lane)), t.TempDir())
		if err != nil {
			t.Errorf("%q with %q: %v", test.text, test.lane, err)
		} else if cfg.Lane != test.want {
			t.Errorf("%q with %q has the lane %s, want %s", test.text, test.lane, cfg.Lane, test.want)
		}
	}
	if got := with(text, ""); got != text {
		t.Errorf("without a lane the text becomes %q", got)
	}
}

func TestUnknownLane(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an unknown lane is taken for none")
		}
	}()
	parse("expres")
}
