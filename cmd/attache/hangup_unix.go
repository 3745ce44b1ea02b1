//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// hangups returns where every SIGHUP arrives from now on, and what ends that.
// Until it is called the signal ends the process.
func hangups() (<-chan os.Signal, func()) {
	incoming := make(chan os.Signal, 1)
	signal.Notify(incoming, syscall.SIGHUP)
	return incoming, func() { signal.Stop(incoming) }
}
