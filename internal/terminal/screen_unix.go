//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
)

func notifyChanges(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT) }
