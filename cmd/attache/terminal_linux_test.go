package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"attache/internal/terminal"
	"attache/internal/terminal/terminaltest"
)

// onTerminal starts attache on a terminal of its own.
func onTerminal(t *testing.T, columns, lines int, environment []string, args ...string) (*terminaltest.Terminal, *exec.Cmd) {
	t.Helper()
	pty := terminaltest.Open(t, columns, lines)
	cmd := exec.Command("attache", args...)
	cmd.Env = append(append(os.Environ(), "GORACE="+quickExit, "TERM=xterm", "NO_COLOR="), environment...)
	cmd.Dir = t.TempDir()
	pty.Slave.WriteString("$ attache\n")
	pty.Start(cmd)
	return pty, cmd
}

func contains(text string) func(*terminaltest.Screen) bool {
	return func(s *terminaltest.Screen) bool { return strings.Contains(s.String(), text) }
}

// TestTopOnATerminal ends attache top in every way that there is: the terminal is
// then as it was before, and the exit code 0. Meanwhile it follows the size.
func TestTopOnATerminal(t *testing.T) {
	picture, err := os.ReadFile("../../internal/top/testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(picture) }))
	defer server.Close()
	for name, end := range map[string]func(*terminaltest.Terminal, *os.Process) error{
		"q":       func(pty *terminaltest.Terminal, _ *os.Process) error { pty.Type("q"); return nil },
		"Ctrl-C":  func(pty *terminaltest.Terminal, _ *os.Process) error { pty.Type("\x03"); return nil },
		"SIGTERM": func(_ *terminaltest.Terminal, p *os.Process) error { return p.Signal(syscall.SIGTERM) },
		"SIGINT":  func(_ *terminaltest.Terminal, p *os.Process) error { return p.Signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			pty, cmd := onTerminal(t, 80, 24, nil, "top", "--url", server.URL, "--interval", "1h")
			pty.Wait("a token in trouble", contains("\nshop.app "))
			for _, size := range [][2]int{{120, 40}, {50, 12}, {200, 50}} {
				pty.Resize(size[0], size[1])
				s := pty.Wait("the new size", func(s *terminaltest.Screen) bool {
					first, _, _ := strings.Cut(s.String(), "\n")
					return terminal.Width(first) == size[0] || size[0] == 50 && strings.HasSuffix(s.String(), " more tokens, 2 of them in trouble")
				})
				if s.Unknown != "" || !s.Alternate {
					t.Errorf("the screen is %+v", s)
				}
			}
			raw := pty.Modes()
			if err := end(pty, cmd.Process); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			s := pty.Wait("the shell", contains("$ attache"))
			if s.String() != "$ attache" || s.Alternate || s.NoCursor || s.NoWrap {
				t.Errorf("it is left as %+v:\n%s", s, s.String())
			}
			if modes := pty.Modes(); modes == raw || modes.Lflag&syscall.ECHO == 0 || modes.Lflag&syscall.ISIG == 0 || modes.Oflag&syscall.OPOST == 0 {
				t.Errorf("the terminal's modes are %+v", modes)
			}
		})
	}
}

// TestTopIsStopped presses Ctrl-Z in a shell with jobs, has the job go on, and ends
// it.
func TestTopIsStopped(t *testing.T) {
	picture, err := os.ReadFile("../../internal/top/testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(picture) }))
	defer server.Close()
	pty := terminaltest.Open(t, 80, 24)
	shell := exec.Command("bash", "--norc", "--noprofile", "-i")
	shell.Env = append(os.Environ(), "GORACE="+quickExit, "TERM=xterm", "PS1=ready> ")
	pty.Start(shell)
	pty.Wait("a shell", contains("ready>"))
	pty.Type("attache top --url " + server.URL + "\r")
	shown := func(s *terminaltest.Screen) bool { return s.Alternate && strings.Contains(s.String(), "\nshop.app ") }
	pty.Wait("a picture", shown)
	for times := range 2 {
		pty.Type("\x1a")
		pty.Wait("a shell with a stopped job", func(s *terminaltest.Screen) bool {
			return !s.Alternate && !s.NoCursor && !s.NoWrap && strings.Count(s.String(), "Stopped") == times+1 && strings.HasSuffix(s.String(), "\nready>")
		})
		pty.Type("fg\r")
		pty.Wait("the picture again", shown)
	}
	pty.Type("q")
	pty.Wait("a prompt", func(s *terminaltest.Screen) bool { return !s.Alternate && strings.HasSuffix(s.String(), "\nready>") })
	pty.Type("echo code $?; exit\r")
	pty.Wait("no error", contains("\ncode 0"))
	if err := shell.Wait(); err != nil {
		t.Error(err)
	}
}

// TestMistakesOnATerminal: a mistake is broken between words, and its place stands
// out, unless nobody wants colours.
func TestMistakesOnATerminal(t *testing.T) {
	const want = "$ attache\nattache: there is no file\n  no-such-configuration-file.yaml"
	for environment, styled := range map[string]bool{"X=": true, "NO_COLOR=1": false, "TERM=dumb": false} {
		pty, cmd := onTerminal(t, 40, 10, []string{environment}, "check", "-c", "no-such-configuration-file.yaml")
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != exitUsage {
			t.Errorf("it ended with %v", err)
		}
		s := pty.Wait(want, func(s *terminaltest.Screen) bool { return s.String() == want })
		if (s.Styled > 0) != styled || s.Unknown != "" {
			t.Errorf("%s: the screen is %+v", environment, s)
		}
	}
}
