package terminaltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal with a [Screen].
type Terminal struct {
	// Slave is what a program takes for its terminal. It is the test's, which
	// closes it.
	Slave  *os.File
	master *os.File
	t      testing.TB
	closed chan struct{}

	mu     sync.Mutex
	screen *Screen
}

// Open makes a terminal of so many columns and lines, which lives as long as the
// test.
func Open(t testing.TB, columns, lines int) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("missing tool: a pseudo-terminal: %v", err)
	}
	term := &Terminal{master: master, t: t, closed: make(chan struct{}), screen: NewScreen(columns, lines)}
	var number int
	term.control(func(fd int) (err error) {
		if number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil {
			return err
		}
		return unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	})
	term.Slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term.Resize(columns, lines)
	go term.read()
	t.Cleanup(func() {
		master.Close() // ends whoever reads at either side
		<-term.closed
		term.Slave.Close()
	})
	return term
}

// control calls f with the descriptor of the terminal's own side. Fd would make it
// blocking, and Close then wait for a Read.
func (term *Terminal) control(f func(fd int) error) {
	term.t.Helper()
	conn, err := term.master.SyscallConn()
	if err == nil {
		var failed error
		err = conn.Control(func(fd uintptr) { failed = f(int(fd)) })
		err = errors.Join(err, failed)
	}
	if err != nil {
		term.t.Fatal(err)
	}
}

func (term *Terminal) read() {
	defer close(term.closed)
	buffer := make([]byte, 64<<10)
	for {
		n, err := term.master.Read(buffer)
		if err != nil {
			return
		}
		term.mu.Lock()
		term.screen.Write(buffer[:n])
		term.mu.Unlock()
	}
}

// Resize changes the size. Programs that [Terminal.Start] started get SIGWINCH.
func (term *Terminal) Resize(columns, lines int) {
	term.t.Helper()
	term.mu.Lock()
	term.screen.Resize(columns, lines)
	term.mu.Unlock()
	term.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(lines), Col: uint16(columns)})
	})
}

// Start starts a program that has the terminal for its own: as standard input,
// output and error, and with the signals of its keys.
func (term *Terminal) Start(cmd *exec.Cmd) {
	term.t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.Slave, term.Slave, term.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	term.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
}

// Type presses keys.
func (term *Terminal) Type(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// Screen returns a copy of what the terminal shows.
func (term *Terminal) Screen() *Screen {
	term.mu.Lock()
	defer term.mu.Unlock()
	s := *term.screen
	s.cells = nil
	for _, row := range term.screen.cells {
		s.cells = append(s.cells, append([]string(nil), row...))
	}
	return &s
}

// Wait waits until the screen is as ok wants it, and returns it. It fails the test
// after a minute, which programs may need on a busy machine.
func (term *Terminal) Wait(what string, ok func(*Screen) bool) *Screen {
	term.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s := term.Screen()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("the screen never had %s:\n%s", what, s.String())
		}
	}
}

// Modes returns the settings of the terminal, which programs have to leave as they
// found them.
func (term *Terminal) Modes() unix.Termios {
	term.t.Helper()
	modes, err := unix.IoctlGetTermios(int(term.Slave.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return *modes
}

// SetModes changes the settings of the terminal, as another program would.
func (term *Terminal) SetModes(modes unix.Termios) {
	term.t.Helper()
	if err := unix.IoctlSetTermios(int(term.Slave.Fd()), unix.TCSETS, &modes); err != nil {
		term.t.Fatal(err)
	}
}
