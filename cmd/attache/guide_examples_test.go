package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"attache/internal/emulator"
)

var digits = regexp.MustCompile(`[0-9]+`)

// emulatedExamples returns the folders of examples whose README has an emulator.
func emulatedExamples(t *testing.T) []string {
	t.Helper()
	var list []string
	readmes, _ := filepath.Glob("../../examples/*/README.md")
	for _, path := range readmes {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nattache emulate ") {
			list = append(list, filepath.Base(filepath.Dir(path)))
		}
	}
	if len(list) < 6 {
		t.Errorf("only %q have an emulator", list)
	}
	return list
}

// TestExamples follows the READMEs of these examples, each in a copy of its
// folder. After the fault that the README ends with, every request of it is
// answered as before, although a token of each was refused.
func TestExamples(t *testing.T) {
	for _, folder := range emulatedExamples(t) {
		t.Run(folder, func(t *testing.T) {
			f := newFollower(t)
			f.copy(filepath.Join("../../examples", folder))
			var requests []command
			var before []string
			for _, b := range blocks(t, filepath.Join("examples", folder, "README.md")) {
				if !b.isShell() {
					continue
				}
				for _, c := range b.commands() {
					if f.needs(c); strings.Contains(c.line, ":8484/") {
						requests = append(requests, c)
						before = append(before, f.do(c))
						continue
					}
					f.do(c)
				}
			}
			for i, c := range requests {
				if after := f.do(c); digits.ReplaceAllString(after, "0") != digits.ReplaceAllString(before[i], "0") {
					t.Errorf("$ %s\nbefore the fault:\n%s\nafter it:\n%s", c.line, before[i], after)
				}
			}
			if n := f.refused(":8600"); n < uint64(len(requests)) || n == 0 {
				t.Errorf("%d requests of %d were refused, so the fault shows nothing", n, len(requests))
			}
		})
	}
}

// copy copies the files of a folder into the follower's.
func (f *follower) copy(folder string) {
	f.t.Helper()
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(folder, path))
		f.write(path, string(text))
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// refused returns how many calls the emulator at a port of the page has refused.
func (f *follower) refused(port string) (n uint64) {
	f.t.Helper()
	ans, err := http.Get("http://127.0.0.1" + f.ports[port] + "/_emulator/stats")
	if err != nil {
		f.t.Fatal(err)
	}
	defer ans.Body.Close()
	var stats emulator.Stats
	if err := json.NewDecoder(ans.Body).Decode(&stats); err != nil {
		f.t.Fatal(err)
	}
	for _, count := range stats.Refused {
		n += count
	}
	return n
}
