package proxy

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watched returns a watched context and the client whose end it watches for.
func watched(t *testing.T) (*watchedContext, net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	e := &expressConn{conn: server, in: server}
	e.ctx = newWatchedContext(t.Context(), e)
	t.Cleanup(e.ctx.end)
	return e.ctx, client
}

// TestWatchBeginsWhenAskedAndAllowed: in either order, and not before.
func TestWatchBeginsWhenAskedAndAllowed(t *testing.T) {
	for name, askedFirst := range map[string]bool{"asked first": true, "allowed first": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, client := watched(t)
				if askedFirst {
					w.Done()
				} else {
					w.allow()
				}
				synctest.Wait()
				client.SetWriteDeadline(time.Now().Add(time.Second))
				if n, err := client.Write([]byte("x")); n != 0 || err == nil {
					t.Error("somebody reads already")
				}
				client.SetWriteDeadline(time.Time{})
				if askedFirst {
					w.allow()
				} else {
					w.Done()
				}
				synctest.Wait()
				if w.done == nil {
					t.Error("nobody watches")
				}
				done := w.Done()
				w.allow() // both again begin no second watch
				client.Close()
				<-done
				if w.Err() != context.Canceled {
					t.Error(w.Err())
				}
				if early := w.stop(); early != nil {
					t.Errorf("%q", early)
				}
			})
		})
	}
}

// TestWatchKeepsWhatItReads: of the next request it takes one byte, which is given
// back; the rest stays on the connection, and the client has not left.
func TestWatchKeepsWhatItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, client := watched(t)
		for range 3 { // requests
			w.allow()
			done := w.Done()
			var sent sync.WaitGroup
			sent.Go(func() { io.WriteString(client, "GET") })
			synctest.Wait()
			if early := w.stop(); string(early) != "G" {
				t.Errorf("%q", early)
			}
			if early := w.stop(); early != nil {
				t.Errorf("%q is given back twice", early)
			}
			var p [8]byte
			if n, err := w.conn.in.Read(p[:]); string(p[:n]) != "ET" || err != nil { // no deadline is left
				t.Errorf("%q, %v", p[:n], err)
			}
			sent.Wait()
			select {
			case <-done:
				t.Error("the context has ended")
			default:
			}
		}
	})
}

// TestWatchThatSawNothing: it ends when it is stopped, and leaves the connection to
// the next request; who asks between requests begins none.
func TestWatchThatSawNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, client := watched(t)
		w.allow()
		w.Done()
		synctest.Wait()
		if early := w.stop(); early != nil || w.Err() != nil {
			t.Errorf("%q, %v", early, w.Err())
		}
		w.Done() // late: somebody of the request before
		context.AfterFunc(w, func() {})()
		synctest.Wait()
		if w.done != nil {
			t.Error("a watch begins between requests")
		}
		go io.WriteString(client, "GET")
		var p [8]byte
		if n, err := w.conn.in.Read(p[:]); string(p[:n]) != "GET" || err != nil {
			t.Errorf("%q, %v", p[:n], err)
		}
		w.end()
		w.allow()
		<-w.Done()
		if w.done != nil {
			t.Error("a watch begins after the end")
		}
	})
}

// TestWatchEndsChildren: contexts made of it end with the client as well.
func TestWatchEndsChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, client := watched(t)
		w.allow()
		child, cancel := context.WithTimeout(context.WithValue(w, stateKey{}, 1), time.Hour)
		defer cancel()
		client.Close()
		<-child.Done()
		if child.Err() != context.Canceled {
			t.Error(child.Err())
		}
		w.stop()
	})
}

// TestWatchUnderRace: whoever asks, allows, stops and leaves at the same time, no byte
// is lost and nobody hangs.
func TestWatchUnderRace(t *testing.T) {
	for range 200 {
		w, client := watched(t)
		const text = "GET / HTTP/1.1\r\n"
		var others sync.WaitGroup
		others.Go(func() { w.Done() })
		others.Go(func() { context.AfterFunc(w, func() {})() })
		others.Go(func() { io.WriteString(client, text); client.Close() })
		var got []byte
		for range 3 {
			w.allow()
			runtime.Gosched()
			got = append(got, w.stop()...)
		}
		rest, err := io.ReadAll(w.conn.in)
		if got = append(got, rest...); string(got) != text || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		others.Wait()
		w.stop()
	}
}
