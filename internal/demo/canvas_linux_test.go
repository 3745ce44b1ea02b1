package demo

import (
	"strings"
	"testing"
	"time"

	"attache/internal/terminal/terminaltest"
)

func xterm(name string) string { return map[string]string{"TERM": "xterm"}[name] }

// shows waits until the table on the screen is the one of a view, once, and nothing
// is below it.
func shows(t *testing.T, pty *terminaltest.Terminal, v view, columns, lines int) *terminaltest.Screen {
	t.Helper()
	want := strings.TrimSpace(render(v, false, columns, lines-1))
	return pty.Wait(want, func(s *terminaltest.Screen) bool {
		return strings.HasSuffix("\n"+s.String(), "\n"+want) && strings.Count(s.String(), "route ") == 1
	})
}

// TestCanvas draws on terminals that are smaller than the table, that change their
// size, and on which somebody presses Ctrl-C.
func TestCanvas(t *testing.T) {
	v := view{troubles: 6}
	for _, name := range []string{"wechat", "qiniu", "aicc", "openim"} {
		v.rows = append(v.rows, row{name: name, users: 5})
		v.incidents = append(v.incidents, incident{what: name + ": " + strings.Repeat("everything went wrong ", 5), healed: time.Millisecond})
	}
	next := func() view { v.rows[0].requests++; return v }
	const above = "$ attache demo\nTry it yourself:\n\n"

	pty := terminaltest.Open(t, 80, 24)
	c := newCanvas(pty.Slave, xterm)
	c.begin(above)
	for range 3 {
		c.draw(next())
		if s := shows(t, pty, v, 80, 24); !strings.HasPrefix(s.String(), above) || s.Scrolled > 0 || s.Unknown != "" {
			t.Errorf("the screen is %+v:\n%s", s, s.String())
		}
	}
	pty.Slave.WriteString("^C") // the terminal writes that
	c.draw(next())
	if s := shows(t, pty, v, 80, 24); strings.Contains(s.String(), "^C") || s.Scrolled > 0 {
		t.Errorf("the screen is\n%s", s.String())
	}
	for _, size := range [][2]int{{60, 30}, {60, 15}, {40, 8}, {20, 4}, {100, 30}, {80, 10}} {
		pty.Resize(size[0], size[1])
		for range 3 {
			c.draw(next())
			shows(t, pty, v, size[0], size[1])
		}
		scrolled := pty.Screen().Scrolled
		c.draw(next())
		if s := shows(t, pty, v, size[0], size[1]); s.Scrolled != scrolled {
			t.Errorf("%d×%d: each table scrolls the terminal", size[0], size[1])
		}
	}

	// Where the cursor cannot be moved, whole tables follow each other.
	plain := terminaltest.Open(t, 200, 60)
	c = newCanvas(plain.Slave, func(string) string { return "dumb" })
	c.begin(above)
	c.draw(v)
	c.draw(v)
	plain.Wait("two tables", func(s *terminaltest.Screen) bool {
		return strings.Count(s.String(), "healed in 1 ms") == 8 && s.Styled == 0 && s.Unknown == ""
	})
}
