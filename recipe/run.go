package recipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// lingering is how long a command's output is read on after the command has
// ended: somebody it started may hold the other end for ever.
const lingering = time.Second

var errTooMuch = fmt.Errorf("it wrote more than %s", formatSize(maxStdout))

// runCommand is the [Runner] that runs commands. They read nothing, and are in
// a process group of their own, which is killed when the time is over.
func runCommand(ctx context.Context, c Command) (stdout, stderr []byte, err error) {
	return runLingering(ctx, c, lingering)
}

func runLingering(ctx context.Context, c Command, lingering time.Duration) (stdout, stderr []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &bounded{limit: maxStdout, full: func() { cancel(errTooMuch) }}
	tail := &lastBytes{limit: maxStderr}
	cmd := exec.CommandContext(ctx, c.Words[0], c.Words[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = out, tail
	cmd.WaitDelay = lingering
	ownGroup(cmd)
	err = cmd.Run()
	if err != nil && cmd.Process != nil {
		killGroup(cmd) // it may have left somebody behind, who may hold its output
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the command itself ended well
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the reason why it was killed
	}
	return out.data, tail.lines(), err
}

// bounded keeps what is written, and calls full once it is too much.
type bounded struct {
	data  []byte
	limit int
	full  func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > b.limit {
		b.full()
		return 0, errTooMuch
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// lastBytes keeps the end of what is written.
type lastBytes struct {
	data  []byte
	limit int
	cut   bool // something was written before
}

// lines returns the lines that were kept whole. One whose beginning is missing
// may begin in the middle of a secret, which no scrubbing finds any more.
func (l *lastBytes) lines() []byte {
	if !l.cut {
		return l.data
	}
	_, whole, _ := bytes.Cut(l.data, []byte("\n"))
	return whole
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.cut = l.cut || len(l.data)+len(p) > l.limit
	l.data = append(l.data, p[max(0, len(p)-l.limit):]...)
	l.data = l.data[max(0, len(l.data)-l.limit):]
	return len(p), nil
}
