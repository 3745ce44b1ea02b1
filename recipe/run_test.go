//go:build unix

package recipe

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// These tests run real commands. None waits for time to pass: what has to be
// killed is killed once it has said that it runs.

func shell(script string, args ...string) Command {
	return Command{Words: append([]string{"sh", "-c", script, "sh"}, args...), Env: []string{"ADDED=x y"}}
}

func TestRunCommand(t *testing.T) {
	t.Setenv("INHERITED", "i")
	t.Setenv("ADDED", "old")
	stdout, stderr, err := runCommand(t.Context(), shell(`echo "$1|$INHERITED|$ADDED"; cat; echo oops >&2`, "a b;$(c)"))
	if err != nil || string(stdout) != "a b;$(c)|i|x y\n" || string(stderr) != "oops\n" {
		t.Errorf("stdout %q, stderr %q, %v", stdout, stderr, err)
	}
	_, stderr, err = runCommand(t.Context(), shell(`echo why >&2; exit 3`))
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 3 || string(stderr) != "why\n" {
		t.Errorf("stderr %q, %v", stderr, err)
	}
	if _, _, err = runCommand(t.Context(), Command{Words: []string{"no-such-command-here"}}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, _, err = runCommand(t.Context(), Command{Words: []string{"/no/such/command"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestRunCommandIsBounded: a command that never stops to write is stopped.
func TestRunCommandIsBounded(t *testing.T) {
	stdout, _, err := runCommand(t.Context(), shell(`trap '' PIPE; while :; do echo 0123456789012345678901234567890123456789; done 2>/dev/null`))
	if !errors.Is(err, errTooMuch) || len(stdout) > maxStdout {
		t.Errorf("%d bytes, %v", len(stdout), err)
	}
	_, stderr, err := runCommand(t.Context(), shell(`i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done`))
	if err != nil || len(stderr) > maxStderr || lastLine(string(stderr)) != "line 1999" {
		t.Errorf("%d bytes that end in %q, %v", len(stderr), lastLine(string(stderr)), err)
	}
}

// TestLastBytes: a line whose beginning is gone is not kept either.
func TestLastBytes(t *testing.T) {
	for _, tt := range []struct {
		writes []string
		want   string
	}{
		{[]string{"abc"}, "abc"},
		{[]string{"abcd", "efgh"}, "abcdefgh"},
		{[]string{"abcdefghi"}, ""},
		{[]string{"abcdefgh", "i"}, ""},
		{[]string{"abcdefgh", "\nij\nk"}, "ij\nk"},
		{[]string{"a\n", "bcdefghij", "\nk"}, "k"},
	} {
		l := lastBytes{limit: 8}
		for _, text := range tt.writes {
			if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
				t.Error(n, err)
			}
		}
		if got := string(l.lines()); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.writes, got, tt.want)
		}
	}
}

// watched makes a pipe that a script holds open as "$1": what is written there
// arrives, and its end is seen once nobody who was started is left.
func watched(t *testing.T) (path string, open func() *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() *os.File {
		f, err := os.Open(path) // waits for the script
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
}

// TestRunCommandKillsTheGroup: once its time is over, neither the command nor
// what it has started is left, whatever signals they mind.
func TestRunCommandKillsTheGroup(t *testing.T) {
	path, open := watched(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := runCommand(ctx, shell(`exec 3>"$1"; trap '' TERM INT HUP; sleep 1000 & echo runs >&3; wait`, path))
		done <- err
	}()
	pipe := open()
	if _, err := pipe.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := io.ReadAll(pipe); err != nil { // ends when all are gone
		t.Error(err)
	}
}

// TestRunCommandLeavesNobodyBehind: a command that ends and leaves a process
// with its output open is not waited for, and the process is killed; after a
// failure also one that has no part in the output.
func TestRunCommandLeavesNobodyBehind(t *testing.T) {
	for script, fails := range map[string]bool{
		`exec 3>"$1"; sleep 1000 & echo tok`:               false,
		`exec 3>"$1"; sleep 1000 & echo why >&2; exit 3`:   true,
		`exec 3>"$1"; sleep 1000 >/dev/null 2>&1 & exit 3`: true,
	} {
		path, open := watched(t)
		done := make(chan error, 1)
		go func() {
			_, _, err := runLingering(t.Context(), shell(script, path), time.Nanosecond)
			done <- err
		}()
		pipe := open()
		if err := <-done; (err != nil) != fails {
			t.Errorf("%s: got %v", script, err)
		}
		if _, err := io.ReadAll(pipe); err != nil { // ends when all are gone
			t.Error(err)
		}
	}
}
