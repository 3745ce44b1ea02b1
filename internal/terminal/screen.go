package terminal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/term"
)

// Screen is a terminal that is drawn on as a whole. What stood on it comes back
// when the Screen is closed. It is for one goroutine.
type Screen struct {
	in, out *os.File
	before  *term.State // of in; nil: in is no terminal, and no key is read
	quit    chan struct{}
	pause   chan struct{}
	changed chan os.Signal
}

// DEC private modes: the alternate screen (1049), without a cursor (25) and without
// lines that go on in the next one (7).
const (
	alternate = "\x1b[?1049h"
	bare      = "\x1b[?25l\x1b[?7l"
	left      = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// OpenScreen takes a terminal over; see [Moves] for which can be. Keys are read
// from in, if that is a terminal as well: one read stays pending when the Screen is
// closed, so that in is of no use to others afterwards. Close must be called.
func OpenScreen(in io.Reader, out io.Writer) (*Screen, error) {
	s := &Screen{quit: make(chan struct{}, 1), pause: make(chan struct{}, 1), changed: make(chan os.Signal, 1)}
	var ok bool
	if s.out, ok = out.(*os.File); !ok {
		return nil, errors.New("take over the terminal: it is none")
	}
	if s.in, ok = in.(*os.File); ok && term.IsTerminal(int(s.in.Fd())) {
		var err error
		if s.before, err = term.GetState(int(s.in.Fd())); err != nil {
			return nil, err
		}
	}
	notifyChanges(s.changed)
	if err := s.take(alternate + bare); err != nil {
		s.Close()
		return nil, err
	}
	if s.before != nil {
		go s.readKeys()
	}
	return s, nil
}

func (s *Screen) take(modes string) error {
	if s.before != nil {
		if _, err := term.MakeRaw(int(s.in.Fd())); err != nil {
			return err
		}
	}
	_, err := io.WriteString(s.out, modes)
	return err
}

// Close gives the terminal back as it was.
func (s *Screen) Close() error {
	signal.Stop(s.changed)
	return s.giveBack()
}

func (s *Screen) giveBack() error {
	_, err := io.WriteString(s.out, left)
	if s.before != nil {
		err = errors.Join(err, term.Restore(int(s.in.Fd()), s.before))
	}
	return err
}

// Quit receives when somebody pressed q or Ctrl-C.
func (s *Screen) Quit() <-chan struct{} { return s.quit }

// Paused receives when somebody pressed Ctrl-Z.
func (s *Screen) Paused() <-chan struct{} { return s.pause }

// Pause gives the terminal back, stops the process as Ctrl-Z does, and takes the
// terminal over again when the process goes on.
func (s *Screen) Pause() error {
	if err := s.giveBack(); err != nil {
		return err
	}
	stop()
	// Until the process goes on, or at once where nobody could have it go on, so
	// that it was not stopped.
	select {
	case <-s.changed:
	case <-time.After(pauseTime):
	}
	return s.take(alternate + bare)
}

// pauseTime is how long the system may take to stop the process.
const pauseTime = 200 * time.Millisecond

// Changed receives when it is time to draw anew: the terminal has another size, or
// the process goes on after it was stopped.
func (s *Screen) Changed() <-chan os.Signal { return s.changed }

// Size is [Size] of the terminal.
func (s *Screen) Size() (columns, lines int) { return Size(s.out) }

// Draw puts a text in the place of what the screen shows. It must have no more
// lines than the terminal, and no line more columns. One write does it, so that no
// half of it is seen.
func (s *Screen) Draw(text string) error {
	// Each time, since a shell has it while the process is stopped.
	if err := s.take(bare); err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for line := range strings.SplitSeq(text, "\n") {
		// Erased first: behind a line that fills the terminal the cursor stands
		// on its last character.
		b.WriteString("\x1b[K" + line + "\r\n")
	}
	b.Truncate(b.Len() - len("\r\n"))
	if _, lines := s.Size(); strings.Count(text, "\n")+1 < lines {
		b.WriteString("\r\n\x1b[J")
	}
	_, err := s.out.Write(b.Bytes())
	return err
}

// readKeys reads until the terminal is gone.
func (s *Screen) readKeys() {
	keys := make([]byte, 64)
	for {
		n, err := s.in.Read(keys)
		if err != nil {
			return
		}
		var to chan<- struct{} // nil: nobody
		switch command(keys[:n]) {
		case quitKey:
			to = s.quit
		case pauseKey:
			to = s.pause
		}
		select {
		case to <- struct{}{}:
		default: // it was told already
		}
	}
}

const (
	quitKey  = 'q'
	pauseKey = 'Z' - '@' // Ctrl-Z
)

// command returns the first of the keys that means something: [quitKey], also for Q
// and Ctrl-C, [pauseKey], or 0. In raw mode Ctrl-C and Ctrl-Z are bytes; arrows and
// the like are an escape with [ or O and more.
func command(keys []byte) byte {
	const escape, ctrlC = 0x1b, 0x03
	for i := 0; i < len(keys); i++ {
		switch keys[i] {
		case 'q', 'Q', ctrlC:
			return quitKey
		case pauseKey:
			return pauseKey
		case escape:
			i++
			if i < len(keys) && keys[i] == 'O' {
				i++
			}
			if i < len(keys) && keys[i] == '[' {
				for i++; i < len(keys) && keys[i] < '@'; i++ {
				}
			}
		}
	}
	return 0
}
