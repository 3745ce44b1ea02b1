//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
)

// stop stops the process as a terminal does.
func stop() { _ = syscall.Kill(0, syscall.SIGTSTP) } // the whole job: with sudo it is more than this process

func notifyChanges(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT) }
