package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestBodyCopyIsReadAgain(t *testing.T) {
	b := newBodyCopy(iotest.OneByteReader(strings.NewReader("hello")), -1, 5)
	b.trailer = http.Header{"X-Sum": {"6"}}
	for round := range 3 {
		trailer := http.Header{"X-Sum": nil}
		v, err := b.view(trailer)
		if err != nil {
			t.Fatal(err)
		}
		if round == 1 { // a transport that gave up half-way
			io.ReadFull(v, make([]byte, 2))
			continue
		}
		got, err := io.ReadAll(v)
		if string(got) != "hello" || err != nil || trailer.Get("X-Sum") != "6" {
			t.Errorf("round %d: %q, %v, %v", round, got, err, trailer)
		}
		if !b.complete() || !b.read() {
			t.Error("the copy is not complete")
		}
	}
}

func TestBodyCopyGoesOnWhereItsCopyEnds(t *testing.T) {
	b := newBodyCopy(strings.NewReader("hello"), 5, 100)
	first, _ := b.view(nil)
	io.ReadFull(first, make([]byte, 3))
	if b.complete() {
		t.Error("an unread body is complete")
	}
	again, _ := b.view(nil)
	if got, err := io.ReadAll(again); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := io.ReadAll(first); string(got) != "lo" || err != nil {
		t.Errorf("the first view reads %q, %v", got, err)
	}
}

// TestBodyCopyIsReadByOneViewAtATime: a view that an early answer left behind
// takes nothing away from the next one.
func TestBodyCopyIsReadByOneViewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, client := io.Pipe()
		b := newBodyCopy(src, -1, 100)
		var got [2]string
		for i := range got {
			v, _ := b.view(nil)
			go func() {
				p := make([]byte, 10)
				n, _ := v.Read(p)
				got[i] = string(p[:n])
			}()
			synctest.Wait()
		}
		io.WriteString(client, "hello")
		synctest.Wait()
		client.Close()
		synctest.Wait()
		if got != [2]string{"hello", "hello"} {
			t.Errorf("the views read %q", got)
		}
	})
}

func TestBodyCopyIsBounded(t *testing.T) {
	for _, length := range []int64{6, -1} {
		b := newBodyCopy(strings.NewReader("hello!"), length, 5)
		v, _ := b.view(nil)
		if got, err := io.ReadAll(v); string(got) != "hello!" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if b.complete() || !b.read() || cap(b.buf) > 5 {
			t.Errorf("length %d: complete %v, %d bytes kept", length, b.complete(), cap(b.buf))
		}
		if _, err := b.view(nil); !errors.Is(err, errBodyGone) {
			t.Errorf("a second view: %v", err)
		}
	}
}

func TestBodyCopyIsCompleteWithItsLength(t *testing.T) {
	b := newBodyCopy(strings.NewReader("hello"), 5, 5)
	v, _ := b.view(nil)
	io.ReadFull(v, make([]byte, 5)) // nobody has seen its end
	if !b.complete() {
		t.Error("the copy is not complete")
	}
}

func TestStoppedBodyIsNotRead(t *testing.T) {
	b := newBodyCopy(strings.NewReader("hello"), 5, 5)
	v, _ := b.view(nil)
	b.stop()
	if n, err := v.Read(make([]byte, 5)); n != 0 || !errors.Is(err, errBodyStopped) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestBodyErrorIsKept(t *testing.T) {
	b := newBodyCopy(failingReader{}, -1, 5)
	v, _ := b.view(nil)
	if _, err := io.ReadAll(v); err == nil || b.failure() == nil || b.complete() || b.read() {
		t.Errorf("%v, %v", err, b.failure())
	}
}

func TestGate(t *testing.T) {
	for _, tc := range []struct {
		name           string
		before, inside time.Duration
		acted, over    bool
	}{
		{"in time", 0, 5 * time.Millisecond, false, false},
		{"too long inside", 0, 15 * time.Millisecond, true, true},
		{"too late", 15 * time.Millisecond, 0, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var acted time.Time
				start := time.Now()
				g := newGate(10*time.Millisecond, func() {
					acted = time.Now()
					time.Sleep(time.Second) // leave waits for it
				})
				defer g.stop()
				time.Sleep(tc.before)
				over := !g.enter()
				if !over {
					time.Sleep(tc.inside)
					over = g.leave()
				}
				if over != tc.over || !acted.IsZero() != tc.acted {
					t.Errorf("over %v, acted %v", over, acted)
				}
				if tc.acted && time.Since(start) != 1010*time.Millisecond {
					t.Errorf("left after %v", time.Since(start))
				}
			})
		})
	}
}
