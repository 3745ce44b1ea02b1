package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// watchedContext ends when the client of a connection on the express lane has left.
// To find that out somebody has to read from the connection all the time, so it is
// done only when somebody waits for the context's end: most requests are answered
// before anybody does.
type watchedContext struct {
	context.Context
	cancel context.CancelFunc
	conn   *expressConn

	asked   atomic.Bool // somebody waits for the end
	allowed atomic.Bool // nothing of a request is left to be read

	mu    sync.Mutex
	done  chan struct{} // closed when the watcher has ended; nil: there is none
	early []byte        // what the watcher has read of the next request
}

func newWatchedContext(ctx context.Context, conn *expressConn) *watchedContext {
	w := &watchedContext{conn: conn}
	w.Context, w.cancel = context.WithCancel(ctx)
	return w
}

// Done implements [context.Context].
func (w *watchedContext) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked.Store(true)
	w.start()
	return w.Context.Done()
}

// allow says that the request was read to its end, with nothing behind it.
func (w *watchedContext) allow() {
	w.allowed.Store(true)
	if w.asked.Load() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.start()
	}
}

// start begins to watch if that is asked for and allowed. It is called with mu held.
func (w *watchedContext) start() {
	if !w.asked.Load() || !w.allowed.Load() || w.done != nil || w.Context.Err() != nil {
		return
	}
	w.done = make(chan struct{})
	w.conn.conn.SetReadDeadline(time.Time{})
	go w.watch(w.done)
}

// watch reads from the connection, on which nothing should come before the answer
// but its end. A client may send the next request, though.
func (w *watchedContext) watch(done chan struct{}) {
	defer close(done)
	var p [1]byte
	n, err := w.conn.in.Read(p[:])
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > 0 {
		w.early = append(w.early, p[0])
	} else if err != nil && !isTimeout(err) {
		w.cancel()
	}
}

// stop ends the watch when the request has ended. It returns what the watcher has
// read meanwhile.
func (w *watchedContext) stop() (early []byte) {
	w.allowed.Store(false)
	if !w.asked.Load() { // whoever asks from now on finds that it is not allowed
		return nil
	}
	w.mu.Lock()
	done := w.done
	w.asked.Store(false)
	w.mu.Unlock()
	if done == nil {
		return nil
	}
	w.conn.setDeadline(past())
	<-done
	w.conn.setDeadline(time.Time{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = nil
	early, w.early = w.early, nil
	return early
}

// end ends the context for good.
func (w *watchedContext) end() { w.cancel() }
