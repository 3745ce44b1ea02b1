//go:build !unix

package terminal

import "os"

// notifyChanges does nothing: here nobody tells. Whoever draws again and again
// finds out.
func notifyChanges(chan<- os.Signal) {}
