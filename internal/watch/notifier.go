package watch

import (
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// Notifier says when something happened in the folders of files. It watches
// folders, not files: editors put a new file in the place of the old one, and
// Kubernetes swaps a symbolic link beside it ("..data"), of which a watch of the
// file itself sees nothing. Make one with [NewNotifier].
type Notifier struct {
	log    *slog.Logger
	events *fsnotify.Watcher // nil: there is no news on this system
	wake   chan struct{}
	ended  chan struct{} // closed once forward has returned
}

// NewNotifier returns a notifier that follows no file yet. Where the system
// gives no news it says so in the log, at info level, and stays silent: whoever
// uses it compares now and then anyway.
func NewNotifier(log *slog.Logger) *Notifier {
	n := &Notifier{log: log, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		log.Info("no news of changed files on this system; they are compared every few seconds", "error", err)
		close(n.ended)
		return n
	}
	n.events = events
	go n.forward()
	return n
}

// C receives after something happened. Several events may be one value. It is
// never closed.
func (n *Notifier) C() <-chan struct{} { return n.wake }

// Follow makes files those that are followed from now on. Folders that are not
// there are left out: call it now and then to take them up when they come. It is
// used by one goroutine at a time.
func (n *Notifier) Follow(files []string) {
	if n.events == nil {
		return
	}
	wanted := folders(files)
	for _, folder := range n.events.WatchList() {
		if !slices.Contains(wanted, folder) {
			n.events.Remove(folder) // it may have gone by itself
		}
	}
	for _, folder := range wanted {
		if err := n.events.Add(folder); err != nil {
			n.log.Debug("a folder cannot be watched; its files are compared every few seconds", "folder", folder, "error", err)
		}
	}
}

// folders returns where to look for changes of files: the folder of each, and
// that of what it points to if it is a symbolic link.
func folders(files []string) []string {
	var list []string
	for _, file := range files {
		list = append(list, filepath.Dir(file))
		if target, err := filepath.EvalSymlinks(file); err == nil {
			list = append(list, filepath.Dir(target))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Close ends the notifier and waits for its goroutine.
func (n *Notifier) Close() {
	if n.events != nil {
		n.events.Close()
	}
	<-n.ended
}

// forward turns events into wake-ups. Changed permissions and times are no
// change of content, and reading a file may cause them.
func (n *Notifier) forward() {
	defer close(n.ended)
	events, problems := n.events.Events, n.events.Errors
	for events != nil {
		select {
		case ev, open := <-events:
			if !open {
				return
			}
			if ev.Op == fsnotify.Chmod {
				continue
			}
		case err, open := <-problems:
			if !open {
				problems = nil
				continue
			}
			// After an overflow of the queue nobody knows what was missed.
			n.log.Debug("news of changed files may be missing; the files are compared", "error", err)
		}
		select {
		case n.wake <- struct{}{}:
		default: // one is waiting already
		}
	}
}
