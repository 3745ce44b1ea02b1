package app

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"testing"
	"time"
)

// TestPeopleLog: a line has the time of day, level and message in front, and
// nothing in it is more than text.
func TestPeopleLog(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := slog.New(newPeopleHandler(&out, &slog.HandlerOptions{Level: level}, false))
	today := time.Now()
	for _, c := range []struct {
		write func()
		want  string
	}{
		{func() { log.Info("stopped") }, `TIME INFO  stopped`},
		{func() { log.Warn("login failed", "credential", "im", "error", errors.New("no\nroute \x1b[31m")) },
			`TIME WARN  login failed  credential=im error="no\nroute \x1b[31m"`},
		{func() { log.Error("odd \x1b[2J\ntext") }, `TIME ERROR odd [2J; text`},
		{func() { log.Debug("not wanted") }, ``},
		{func() { log.With("a", 1).WithGroup("g").Info("x", "time", today.Truncate(time.Second), "b", 2) },
			`TIME INFO  x  a=1 g.time=` + today.Format(time.TimeOnly) + ` g.b=2`},
		{func() { log.Info("x", "expires", time.Date(2031, 2, 3, 4, 5, 6, 0, time.Local)) }, `TIME INFO  x  expires=2031-02-03T04:05:06`},
		{func() { level.Set(slog.LevelError); log.Warn("not wanted") }, ``},
	} {
		out.Reset()
		c.write()
		if c.want != "" {
			c.want += "\n"
		}
		if got := regexp.MustCompile(`^\d\d:\d\d:\d\d `).ReplaceAllString(out.String(), "TIME "); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
	out.Reset()
	slog.New(newPeopleHandler(&out, &slog.HandlerOptions{}, true)).Warn("careful")
	if !bytes.Contains(out.Bytes(), []byte(" \x1b[35mWARN \x1b[m \x1b[1mcareful\x1b[m\n")) {
		t.Errorf("got %q", out.String())
	}
}
