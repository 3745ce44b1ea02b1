package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"attache/refresher"
	"attache/store"
)

const (
	// childPath names the variable with the path of the store of a child.
	childPath = "ATTACHE_TEST_STORE"
	// childTokens is how many tokens the child saves in turn.
	childTokens = 5
)

// A process that saves as fast as it can is killed again and again: whatever it
// said to be saved is there, and nothing is wrong with the file.
func TestFileSurvivesKills(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	path := filepath.Join(t.TempDir(), "tokens")
	saved := [childTokens]uint64{}
	total := 0
	for range kills {
		total += killOne(t, path, r.IntN(60), time.Duration(r.IntN(3000))*time.Microsecond, &saved)
		var log logged
		s := openFile(t, path, &log)
		for n, said := range saved {
			got, err := s.Load(t.Context(), testKey(n))
			if said == 0 && errors.Is(err, refresher.ErrNoToken) {
				continue
			}
			// One more may have been flushed when the kill came, and the one before may
			// not have been said yet.
			if g := got.Token.Generation; err != nil || g < said || g > said+2 || got.Token.Value.Reveal() != testToken(n, g).Value.Reveal() {
				t.Fatalf("token %d: generation %d, error %v; generation %d was said to be saved", n, g, err, said)
			}
			saved[n] = got.Token.Generation
		}
		closeFile(t, s)
		if text := log.String(); strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
			t.Fatalf("logged %s", text)
		}
	}
	t.Logf("%d saves", total)
	if found := asides(t, path); len(found) > 0 {
		t.Errorf("set aside: %v", found)
	}
}

// killOne runs a child and kills it soon after it said that so many saves were
// done. It returns how many it said in all.
func killOne(t *testing.T, path string, after int, wait time.Duration, saved *[childTokens]uint64) int {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChildOfFile$")
	child.Env = append(os.Environ(), childPath+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said, lines := 0, bufio.NewScanner(out)
	for lines.Scan() {
		var n int
		var generation uint64
		if _, err := fmt.Sscanf(lines.Text(), "saved %d %d", &n, &generation); err != nil {
			t.Errorf("the child said %q", lines.Text())
		} else {
			saved[n] = max(saved[n], generation)
		}
		if said++; said == after+1 {
			// When exactly does not matter: whatever was said by then counts.
			time.AfterFunc(wait, func() { _ = child.Process.Kill() })
		}
	}
	_ = child.Wait()
	if child.ProcessState.Exited() {
		t.Fatalf("the child ended by itself after %d saves", said)
	}
	return said
}

// TestChildOfFile is the process that is killed.
func TestChildOfFile(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("this is for a child of another test")
	}
	s := store.OpenFile(path, keysOf(t), "", slog.New(slog.DiscardHandler))
	generation := [childTokens]uint64{}
	for n := range generation {
		got, err := s.Load(t.Context(), testKey(n))
		if err != nil && !errors.Is(err, refresher.ErrNoToken) {
			t.Fatal(err)
		}
		generation[n] = got.Token.Generation
	}
	done := make(chan string)
	for n := range generation { // several at once, so that flushes are shared
		go func() {
			for g := generation[n] + 1; ; g++ {
				tok := testToken(n, g)
				tok.Outputs = nil
				if err := s.Save(t.Context(), testKey(n), refresher.Guard{Generation: g - 1}, tok); err != nil {
					done <- err.Error()
				}
				done <- "saved " + strconv.Itoa(n) + " " + strconv.FormatUint(g, 10)
			}
		}()
	}
	for text := range done {
		fmt.Println(text)
	}
}
