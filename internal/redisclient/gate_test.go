package redisclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestGate(t *testing.T) {
	down, start := errors.New("down"), time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	g := &gate{pause: time.Second}
	enter := func(ms int, passes bool) pass {
		t.Helper()
		p, err := g.enter(at(ms))
		if (err == nil) != passes {
			t.Fatalf("at %d ms: error %v, passes: want %v", ms, err, passes)
		}
		if err != nil && (!errors.Is(err, ErrPaused) || !errors.Is(err, down)) {
			t.Fatalf("error %v", err)
		}
		return p
	}
	a, b, c := enter(0, true), enter(0, true), enter(1, true) // open: all at once
	g.leave(a, at(100), unreached, down)
	enter(200, false)
	enter(1099, false)
	probe := enter(1100, true)
	enter(1101, false)                      // one at a time
	g.leave(b, at(1102), unreached, down)   // of before, and no end of the probe
	enter(2102, false)                      // still
	g.leave(probe, at(2200), unknown, down) // it was cut short
	probe = enter(2200, true)               // so somebody else looks
	g.leave(probe, at(2300), unreached, down)
	enter(3299, false)
	probe = enter(3300, true)
	g.leave(probe, at(3301), reached, nil)
	d, e := enter(3302, true), enter(3302, true)
	g.leave(c, at(3303), unreached, down) // it began before
	enter(3304, true)
	g.leave(d, at(3305), unreached, down)
	enter(3306, false)
	g.leave(e, at(3307), reached, nil) // whoever is answered opens it
	enter(3308, true)
}

func TestVerdict(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	down := errors.New("down")
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		took time.Duration
		want outcome
	}{
		{"success", t.Context(), nil, 0, reached},
		{"success after all", ended, nil, 0, reached},
		{"an answer", t.Context(), fmt.Errorf("x: %w", &answer{"NOPERM"}), 0, reached},
		{"no connection", t.Context(), down, 0, unreached},
		{"cut short", ended, down, time.Hour, unknown},
		{"no time", late, down, time.Millisecond, unknown},
		{"time enough", late, down, time.Second, unreached},
	}
	for _, test := range tests {
		if got := verdict(test.ctx, test.err, test.took, time.Second); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestBrokenOff(t *testing.T) {
	tests := map[string]struct {
		err  error
		want bool
	}{
		"end":          {io.EOF, true},
		"reset":        {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true},
		"pipe":         {&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, true},
		"refused":      {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, false},
		"reset early":  {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNRESET)}, false},
		"timeout":      {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, false},
		"a replica":    {errors.New("READONLY You can't write"), true},
		"other answer": {errors.New("LOADING"), false},
	}
	for name, test := range tests {
		if got := brokenOff(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestSlots(t *testing.T) {
	for key, want := range map[string]int{ // by CLUSTER KEYSLOT
		"123456789": 12739, "foo": 12182, "{foo}bar": 12182, "x{foo}{bar}": 12182, "": 0, "attache:token:{foo}:lease": 12182,
		"{}foo": slotOf("{}foo"),
	} {
		if got := slotOf(key); got != want {
			t.Errorf("%s: slot %d, want %d", key, got, want)
		}
	}
	if slotOf("{}foo") == slotOf("foo") {
		t.Error("empty braces count")
	}
}

// A part of a cluster that is down does not keep operations from the others.
func TestGatesOfCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGates(time.Second, true)
		p, _ := g.of("foo").enter(time.Now())
		g.of("foo").leave(p, time.Now(), unreached, errors.New("down"))
		if _, err := g.of("foo").enter(time.Now()); err == nil {
			t.Error("the gate is open")
		}
		if _, err := g.of("123456789").enter(time.Now()); err != nil {
			t.Error(err)
		}
		one := newGates(time.Second, false)
		if one.of("foo") != one.of("123456789") {
			t.Error("a server has several gates")
		}
	})
}
