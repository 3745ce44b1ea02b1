package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Go asks the kernel for the time without the C library, so that no library can
// be put in between. Processes whose clock is to be set are built from the same
// source with one file of the standard library replaced: time.Now adds as many
// seconds to the wall clock as a file says. The monotonic clock stays right, as
// it does when a machine's clock is set. What is shipped has nothing of it.

// clockVariable names the file that holds the seconds.
const clockVariable = "ATTACHE_CHAOS_CLOCK"

const wrongClock = `package time

import (
	"sync/atomic"
	"syscall"
)

var chaosSeconds atomic.Int64

func init() {
	path, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return
	}
	chaosRead(path)
	go func() {
		for {
			Sleep(100 * Millisecond)
			chaosRead(path)
		}
	}()
}

func chaosRead(path string) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	var text [32]byte
	n, err := syscall.Read(fd, text[:])
	if err != nil || n <= 0 {
		return
	}
	sign, seconds := int64(1), int64(0)
	for _, c := range text[:n] {
		switch {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			seconds = 10*seconds + int64(c-'0')
		}
	}
	chaosSeconds.Store(sign * seconds)
}
`

// buildAttache builds the binary under test into dir and returns its path. With
// a clock that can be set it is another one.
func buildAttache(dir string, clock bool) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	name, args := "attache", []string{"build", "-buildvcs=false", "-trimpath"}
	if clock {
		overlay, err := writeOverlay(dir)
		if err != nil {
			return "", err
		}
		name, args = "attache-with-a-clock", append(args, "-overlay", overlay)
	}
	path := filepath.Join(dir, name)
	build := exec.Command("go", append(args, "-o", path, "./cmd/attache")...)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("attache cannot be built: %w\n%s", err, out)
	}
	return path, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	path, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	switch {
	case err == nil && path == "attache":
		return dir, nil
	case err == nil && path == "attache/test/chaos":
		return filepath.Join(dir, "..", ".."), nil
	}
	return "", fmt.Errorf("attache's source is not here; run this in its repository")
}

// writeOverlay writes the changed package time, and the list of what it replaces.
func writeOverlay(dir string) (string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "time").Output()
	if err != nil {
		return "", fmt.Errorf("the source of package time is not found: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	changed, err := patchTime(string(text))
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range map[string]string{"time.go": changed, "chaos.go": wrongClock} {
		path := filepath.Join(dir, "time-"+name+".txt") // no package of this repository for ./...
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(filepath.Dir(source), name)] = path
	}
	list, _ := json.Marshal(map[string]any{"Replace": replace})
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

// patchTime has time.Now add the seconds.
func patchTime(source string) (string, error) {
	const head = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(source, head) != 1 {
		return "", fmt.Errorf("time.Now of this version of Go looks unlike what the bench changes")
	}
	return strings.Replace(source, head, head+"\tsec += chaosSeconds.Load()\n", 1), nil
}

// setClock sets the clock of whoever reads the file.
func setClock(path string, offset time.Duration) error {
	return os.WriteFile(path, []byte(strconv.FormatInt(int64(offset/time.Second), 10)+"\n"), 0o600)
}
