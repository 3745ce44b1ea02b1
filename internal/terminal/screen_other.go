//go:build !unix

package terminal

import "os"

// stop does nothing: here no job is stopped.
func stop() {}

// notifyChanges does nothing: here nobody tells. Whoever draws again and again
// finds out.
func notifyChanges(chan<- os.Signal) {}
